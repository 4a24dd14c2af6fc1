import CompressionCore

/// What the outputs of a model move per relative squared error of a matrix, or of matrices that are compressed
/// together: measured with these alone truncated as far as a uniform budget asks.
struct MeasuredSensitivity {
    let divergence: OutputDivergence
    /// Share of its numbers that a matrix is truncated to.
    let keep: Double

    /// The rank to measure at.
    func rank(_ curve: LossCurve) -> Int? { point(curve)?.rank }

    /// - Parameters:
    ///   - modules: the names of the matrix, or of those compressed together.
    ///   - truncated: these at that rank; none where there is no such rank.
    func value(of modules: [String], _ curve: LossCurve, _ truncated: [CompressionOutcome]) throws -> Double {
        guard let point = point(curve) else { return 0 }
        var replacements: [String: any LinearOperator] = [:]
        for (module, outcome) in zip(modules, truncated) {
            if case .compressed(let compressed, _) = outcome { replacements[module] = compressed }
        }
        if replacements.isEmpty { return 0 }
        return try divergence.measure(replacing: replacements) * curve.total / point.loss
    }

    private func point(_ curve: LossCurve) -> LossCurve.Point? {
        let numbers = keep * Double(curve.denseParameters)
        let point = curve.points.last { Double($0.parameters) <= numbers } ?? curve.points.first
        return point.flatMap { $0.loss > 0 ? $0 : nil }
    }
}
