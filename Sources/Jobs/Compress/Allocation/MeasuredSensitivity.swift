import CompressionCore

/// What the outputs of a model move per relative squared error of a matrix: measured with that matrix alone truncated
/// as far as a uniform budget asks.
struct MeasuredSensitivity {
    let divergence: OutputDivergence
    /// Share of its numbers that a matrix is truncated to.
    let keep: Double

    /// The rank to measure at.
    func rank(_ curve: LossCurve) -> Int? { point(curve)?.rank }

    /// - Parameters:
    ///   - module: its name.
    ///   - truncated: the module at that rank.
    func value(of module: String, _ curve: LossCurve, _ truncated: CompressionOutcome?) throws -> Double {
        guard let point = point(curve), case .compressed(let compressed, _) = truncated else { return 0 }
        return try divergence.measure(replacing: [module: compressed]) * curve.total / point.loss
    }

    private func point(_ curve: LossCurve) -> LossCurve.Point? {
        let numbers = keep * Double(curve.denseParameters)
        let point = curve.points.last { Double($0.parameters) <= numbers } ?? curve.points.first
        return point.flatMap { $0.loss > 0 ? $0 : nil }
    }
}
