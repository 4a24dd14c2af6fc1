import CompressionCore
import Kernels
import MatrixCore
import SVDCompression
import Safetensors
import TensorTrainCompression

/// Saten: the sum of a low-rank part and a sparse part, in the metric of its objective.
///
/// The parts are fitted in turn, the low-rank part to what the sparse part leaves and the sparse part to what the
/// low-rank part leaves as it is stored, so that single entries make up for its rounding too. The best of all turns is
/// kept.
///
///     L ← low rank of (T − S),   S ← largest entries of (T − L),   first S = 0
///
/// The low-rank part is made by another compressor, the truncated SVD or tensor trains; `SatenFormRule` divides the
/// budget, `SparseSelection` chooses the entries and `SparseFit` their values. `energy` and `error` take the smallest
/// form found by halving, for the numbers as written.
///
/// - Cost: for every turn the low-rank compression, and a few products with the metrics.
/// - Source: Saten, arXiv 2505.14871, §3, whose low-rank part is a tensor train of Wᵀ without alternation; the
///   alternation is that of Zhou and Tao, "GoDec", ICML 2011.
public struct SatenCompressor: Compressor {
    public static let method = "saten"
    public static let optionNames =
        ["saten-pattern", "saten-density", "saten-sweeps", "saten-low-rank"] + trainOptionNames
    public static let sizeOptionNames = ["saten-pattern", "saten-density"]

    /// What makes the low-rank part.
    enum LowRankMethod: String, CaseIterable {
        case svd
        case tt
    }

    /// How a train as low-rank part is laid out; its ranks follow from the budget.
    private static let trainOptionNames = TensorTrainCompressor.optionNames.filter {
        !TensorTrainCompressor.sizeOptionNames.contains($0)
    }

    private let rule: SatenFormRule
    /// Turns after the first.
    private let sweeps: Int

    /// - Parameters:
    ///   - density: share of the entries that the sparse part has; nil leaves it to the budget.
    ///   - lowRank: makes the low-rank part; its operators are among those that `SatenOperator` reads.
    ///   - statesLowRankSize: whether the options of that compressor give it its size.
    public init(
        pattern: SatenPattern = .topk, density: Double? = nil, sweeps: Int = 2,
        lowRank: any Compressor = SVDCompressor(), statesLowRankSize: Bool = false
    ) {
        rule = SatenFormRule(
            pattern: pattern, density: density, lowRank: lowRank, statesLowRankSize: statesLowRankSize)
        self.sweeps = sweeps
    }

    public init(_ settings: MethodSettings) throws(CompressionError) {
        let text = settings.values["saten-pattern"]
        guard let pattern = SatenPattern(text ?? "topk") else {
            throw .badOption(name: "saten-pattern", reason: "\"\(text ?? "")\" is neither topk nor n:m with n below m")
        }
        let density = try settings.number("saten-density", in: 0...1)
        if let density {
            guard density > 0, density < 1 else {
                throw .badOption(name: "saten-density", reason: "\(density) is not between 0 and 1")
            }
            if case .groups = pattern {
                throw .badOption(name: "saten-density", reason: "the pattern \(pattern.text) has its own density")
            }
        }
        self.init(
            pattern: pattern, density: density, sweeps: try settings.integer("saten-sweeps", from: 0) ?? 2,
            lowRank: try Self.lowRank(settings))
    }

    private static func lowRank(_ settings: MethodSettings) throws(CompressionError) -> any Compressor {
        var part = settings
        part.values = settings.values.filter { trainOptionNames.contains($0.key) }
        switch try settings.word("saten-low-rank", LowRankMethod.self) ?? .svd {
        case .tt:
            return try TensorTrainCompressor(part)
        case .svd:
            if let name = part.values.keys.min() {
                throw .badOption(name: name, reason: "the low-rank part is no tensor train; give --saten-low-rank tt")
            }
            return try SVDCompressor(part)
        }
    }

    public func size(of group: [GroupMember], budget: Budget) throws(CompressionError) -> [PlannedSize]? {
        var sizes: [PlannedSize] = []
        for member in group {
            guard let form = try rule.form(of: member, budget: budget) else { return nil }
            sizes.append(form.saves ? form.planned : PlannedSize(dense: member, because: form.denseReason))
        }
        return sizes
    }

    public func compress(_ group: [CompressionTask], budget: Budget) throws -> [CompressionOutcome] {
        try group.map { task in
            switch budget {
            case .energy(let share): return try smallest(within: max(0, 1 - share).squareRoot(), task)
            case .error(let bound): return try smallest(within: bound, task)
            case .keep, .rank, .options:
                guard let form = try rule.form(of: task.member, budget: budget) else {
                    preconditionFailure("a size gives a form")
                }
                guard form.saves else { return .dense(form.denseReason) }
                let fit = try fit(form, task)
                return .compressed(fit.compressed, fit.evidence)
            }
        }
    }

    // MARK: Accuracies

    /// Halvings of the number of parameters: the form found is within 1/256 of the matrix of the smallest.
    private static let halvings = 8

    /// The smallest form whose error is within a bound.
    private func smallest(within bound: Double, _ task: CompressionTask) throws -> CompressionOutcome {
        let member = task.member
        let largest = try rule.form(of: member, numbers: rule.largestNumbers(member))
        guard largest.saves else { return .dense(largest.denseReason) }
        var best = try fit(largest, task)
        guard best.error <= bound else {
            return .dense(
                "the largest form that is smaller than the matrix has an error of \(best.error); "
                    + "the target allows \(bound)")
        }
        var low = 0
        var high = largest.parameters
        for _ in 0..<Self.halvings where low < high - 1 {
            let middle = (low + high) / 2
            let form = try rule.form(of: member, numbers: middle)
            // Below the smallest form there is nothing to try.
            guard form.parameters <= middle else {
                low = middle
                continue
            }
            let found = try fit(form, task)
            if found.error <= bound {
                best = found
                high = middle
            } else {
                low = middle
            }
        }
        return .compressed(best.compressed, best.evidence)
    }

    // MARK: The fit

    private struct Fit {
        let compressed: SatenOperator
        var evidence: CompressionEvidence
        /// Relative, in the metric of the objective, of the numbers as written.
        let error: Double
    }

    /// A turn that lowers the error by less than this share ends the alternation.
    private static let leastGain = 1e-3

    private func fit(_ form: SatenForm, _ task: CompressionTask) throws -> Fit {
        let target = task.objective.target
        var best: Fit?
        var rest = target  // T − S
        for sweep in 0...sweeps {
            let (lowRank, evidence) = try compressLowRank(rest, form, task)
            let found = addSparse(to: lowRank, evidence, form, task)
            let before = best?.error ?? .infinity
            if found.error < before { best = found }
            if found.error >= (1 - Self.leastGain) * before { break }
            if sweep < sweeps { rest = MatrixOperand(found.compressed.withoutSparsePart(target)) }
        }
        guard var best else { throw CompressionError.impossible(module: task.member.module, reason: "no finite fit") }
        best.evidence.energyKept = max(0, 1 - best.error * best.error)
        return best
    }

    private func compressLowRank(
        _ rest: MatrixOperand, _ form: SatenForm, _ task: CompressionTask
    ) throws -> (any LinearOperator, CompressionEvidence) {
        var objective = task.objective
        objective.target = rest
        let part = CompressionTask(member: task.member, objective: objective)
        switch try rule.lowRank.compress([part], budget: form.lowRankBudget).first {
        case .compressed(let lowRank, let evidence):
            return (lowRank, evidence)
        case .dense(let reason):
            throw CompressionError.impossible(module: task.member.module, reason: "the low-rank part: \(reason)")
        case nil:
            throw CompressionError.impossible(module: task.member.module, reason: "there is no low-rank part")
        }
    }

    /// The sparse part for what a low-rank part leaves, as stored.
    private func addSparse(
        to lowRank: any LinearOperator, _ lowRankEvidence: CompressionEvidence, _ form: SatenForm,
        _ task: CompressionTask
    ) -> Fit {
        let objective = task.objective
        let target = objective.target
        let left = Matrix(target, minus: lowRank.reconstruct())
        let positions = SparseSelection(pattern: form.pattern, count: form.entries, objective: objective).positions(
            in: left)
        let values = SparseFit(positions: positions, objective: objective).values(for: left)
        let compressed = SatenOperator(
            lowRank, form.pattern, positions, values: values, storedAs: task.member.factorType)
        var evidence = CompressionEvidence(solver: "\(lowRankEvidence.solver)+\(form.pattern.text)")
        evidence.shift = lowRankEvidence.shift
        evidence.roundingError = Self.roundingError(compressed, values, lowRankEvidence, target)
        evidence.details["low_rank_parameters"] = JSON(lowRank.parameters)
        evidence.details["density"] = JSON(Double(positions.count) / Double(task.member.parameters))
        return Fit(compressed: compressed, evidence: evidence, error: objective.relativeError(of: compressed))
    }

    /// The roundings of both parts together, which are independent.
    private static func roundingError(
        _ compressed: SatenOperator, _ values: [Double], _ lowRank: CompressionEvidence, _ target: MatrixOperand
    ) -> Double? {
        guard let ofLowRank = lowRank.roundingError, let stored = compressed.values.operand(leadingAxes: 0) else {
            return nil
        }
        let norm = sumOfSquares(target)
        guard norm > 0 else { return 0 }
        let computed = Matrix64(rows: 1, columns: values.count, elements: values)
        return (ofLowRank * ofLowRank + sumOfSquaredDifferences(stored, MatrixOperand(computed)) / norm).squareRoot()
    }
}

extension Matrix {
    /// a − b, rounded once.
    init(_ a: MatrixOperand, minus b: Matrix) {
        self.init(uninitializedRows: b.rows, columns: b.columns)
        let target = mutableView()
        let other = b.view
        parallelFor(b.rows) { i in
            for j in 0..<other.columns { target[i, j] = Float(a[i, j] - Double(other[i, j])) }
        }
    }
}
