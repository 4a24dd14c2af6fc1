import Checkpoints
import CommandLineKit
import CompressionCore
import MatrixCore
import Safetensors
import Statistics

/// Gives every module its objective: its weight, measured as asked for, and the metric of its activations for the
/// report.
struct ObjectiveSource: ObjectiveProvider, Sendable {
    private let kind: ObjectiveRequest.Kind
    private let statistics: ActivationStatistics?
    private let fisher: FisherInformation?

    /// Opens the files and sees that they are of this checkpoint and know the modules.
    ///
    /// - Throws: `StatisticsError` for statistics of another model, or without a module; `JobError`.
    init(
        _ request: ObjectiveRequest, of checkpoint: Checkpoint, modules: [LinearModule],
        _ progress: any ProgressReporter
    ) throws {
        try request.validate()
        kind = request.effectiveKind
        statistics = try request.statistics.map { try ActivationStatistics(path: $0) }
        fisher = try request.fisher.map { try FisherInformation(path: $0) }
        if let statistics {
            try statistics.require(model: checkpoint.fingerprint())
            try Self.check(statistics, modules, progress)
            if kind == .kfac { try Self.checkGradients(statistics, modules) }
        }
        for module in modules { try fisher?.check(module, in: checkpoint) }
    }

    /// Whether there are statistics of activations.
    var areKnown: Bool { statistics != nil }

    /// The objective of a module with this weight (m × n).
    ///
    /// A module that saw no token in the calibration, such as an expert that was never chosen, is measured plainly.
    /// - Parameter factors: what the weight is a product of, where it is stored so.
    func objective(for module: LinearModule, weight: MatrixOperand, factors: Factors?) throws -> Objective {
        var objective = Objective(target: weight, factors: factors)
        switch kind {
        case .weights: break
        // Sequential compression has objectives of its own, and these statistics only measure.
        case .activations: if let gram = try activations(of: module) { objective.inputs = .gram(gram) }
        case .kfac:
            if let gram = try activations(of: module) { objective.inputs = .gram(gram) }
            objective.outputs = try outputs(of: module)
        case .asvd: if let mean = try meanAbsolute(of: module) { objective.inputs = .diagonal(Self.weights(mean)) }
        case .fisher:
            if let sums = try fisher?.rowSums(of: module) { objective.outputs = .diagonal(Self.weights(sums)) }
        }
        return objective
    }

    /// Known with statistics.
    func inputErrors(
        of compressed: any LinearOperator, for module: LinearModule, weight: MatrixOperand
    ) throws -> InputErrors {
        guard let gram = try activations(of: module) else { return InputErrors() }
        let found = compressed.reconstruct()
        let error = Matrix64(rows: found.rows, columns: found.columns) { weight[$0, $1] - Double(found[$0, $1]) }
        let norm = gram.squaredNorm(of: weight), lost = gram.squaredNorm(of: MatrixOperand(error))
        return InputErrors(activation: norm > 0 ? (lost / norm).squareRoot() : 0)
    }

    /// The metric of the module's outputs, in sequence as well as apart.
    func outputs(of module: LinearModule) throws -> Metric {
        guard kind == .kfac, let gram = try statistics?.gradientGram(for: module.name) else { return .identity }
        return .gram(gram)
    }

    /// What an error counts in predictions, per squared error in the metric of the objective; nil where the objective
    /// does not know it.
    ///
    /// For sums over T tokens of inputs and of gradients, the product of the two means is that of the sums over T², and
    /// the error is made T times.
    func cost(of module: LinearModule) throws -> Double? {
        guard kind == .kfac, let statistics else { return nil }
        guard let tokens = try statistics.tokens(for: module.name), tokens > 0,
            try statistics.gradientGram(for: module.name) != nil
        else { return 0 }
        return 0.5 / Double(tokens)
    }

    // MARK: Statistics

    /// Tokens that a module read in the calibration; nil without statistics.
    func tokens(of module: LinearModule) throws -> Int? { try statistics?.tokens(for: module.name) }

    private func activations(of module: LinearModule) throws -> GramMetric? {
        guard let statistics, try statistics.tokens(for: module.name) ?? 0 > 0 else { return nil }
        return try statistics.gram(for: module.name)
    }

    private func meanAbsolute(of module: LinearModule) throws -> [Double]? {
        guard let statistics, try statistics.tokens(for: module.name) ?? 0 > 0 else { return nil }
        return try statistics.meanAbsolute(for: module.name)
    }

    /// Square roots, and a little for what is zero: features that were always silent must not divide by zero later.
    private static func weights(_ squares: [Double]) -> [Double] {
        let least = (squares.max() ?? 0) * 1e-12
        return squares.map { max($0, least > 0 ? least : 1).squareRoot() }
    }

    /// Every module has gradients towards its outputs.
    private static func checkGradients(_ statistics: ActivationStatistics, _ modules: [LinearModule]) throws {
        for module in modules {
            guard let gradients = statistics.gradients(of: module.name) else {
                throw StatisticsError.noGradients(
                    file: statistics.path, module: module.name, others: !statistics.header.gradients.isEmpty)
            }
            guard gradients.features == module.outFeatures else {
                throw StatisticsError.badTensor(
                    file: statistics.path, tensor: gradients.name,
                    reason: "gradients of \(gradients.features) outputs; \(module.name) has \(module.outFeatures)")
            }
        }
    }

    /// Every module has its statistics, in its size; too few tokens are warned of.
    private static func check(
        _ statistics: ActivationStatistics, _ modules: [LinearModule], _ progress: any ProgressReporter
    ) throws {
        var few: [(module: LinearModule, tokens: Int)] = []
        for module in modules {
            guard let input = statistics.input(of: module.name) else {
                throw StatisticsError.noInput(file: statistics.path, module: module.name)
            }
            guard input.features == module.inFeatures else {
                throw StatisticsError.badTensor(
                    file: statistics.path, tensor: input.name,
                    reason: "moments of \(input.features) features; \(module.name) has \(module.inFeatures)")
            }
            let tokens = try statistics.tokens(of: input)
            if tokens < module.inFeatures { few.append((module, tokens)) }
        }
        guard let worst = few.min(by: { $0.tokens < $1.tokens }) else { return }
        progress.log(
            .warning,
            "\(few.count) of \(modules.count) matrices have fewer calibration tokens than inputs; at worst "
                + "\(worst.module.name): rank at most \(worst.tokens) of \(worst.module.inFeatures)"
                + (worst.tokens == 0 ? ", so its plain error is measured" : ""))
    }
}

/// Mean squared gradients of weights, from a file of the same names and shapes.
private struct FisherInformation: Sendable {
    private let file: SafetensorsFile

    init(path: String) throws(SafetensorsError) {
        file = try SafetensorsFile(path: path)
    }

    /// - Throws: `JobError.badInput` where the file has no such tensor, or one of another form.
    func check(_ module: LinearModule, in checkpoint: Checkpoint) throws {
        guard let found = file.tensor(named: module.weightName) else {
            throw JobError.badInput(
                "no mean squared gradients for this weight", file: file.path, tensor: module.weightName)
        }
        let expected = checkpoint.tensor(named: module.weightName)?.shape ?? [module.outFeatures, module.inFeatures]
        guard found.shape == expected, found.dtype.elementType != nil else {
            throw JobError.badInput(
                "\(found.dtype.rawValue) \(found.shape); the weight has the shape \(expected)", file: file.path,
                tensor: module.weightName)
        }
    }

    /// Σ_j E[g_ij²] of each output i.
    func rowSums(of module: LinearModule) throws -> [Double] {
        let stored: MatrixOperand
        if let slice = module.slice {
            stored = try file.operand(of: module.weightName, slice: slice)
        } else {
            stored = try file.operand(of: module.weightName)
        }
        let squares = module.isTransposed ? stored.transposed : stored
        let sums = (0..<squares.rows).map { row in
            (0..<squares.columns).reduce(0.0) { $0 + squares[row, $1] }
        }
        if let row = sums.firstIndex(where: { !$0.isFinite || $0 < 0 }) {
            throw JobError.badInput(
                "the squares of output \(row) add up to \(sums[row])", file: file.path, tensor: module.weightName)
        }
        file.dropPages(of: module.weightName)
        return sums
    }
}
