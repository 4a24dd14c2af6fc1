import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Safetensors

/// Matrices of one shape, stacked, whose truncated SVD gives the basis that they share.
///
/// For W_1 … W_g (m × n) with moments G_l of their inputs and G = Σ G_l = L Lᵀ:
///
///     U S Vᵀ = SVD([c_1 W_1; … ; c_g W_g] L),   B = U_rᵀ [c_1 W_1; … ; c_g W_g]   (r × n)
///
/// The projection form of B needs no inverse of L; it spans what S⁻¹U_rΣ_r of the paper does. A metric of the outputs
/// weighs the rows of a member, and c_l = √(tr G_l / mean tr G) makes a member count by what it sees, which for experts
/// is how often they are chosen; the paper has 1. With one member all of it is its weighted SVD. Where
/// members read other inputs, the basis is then improved for what each reads (`SharedBasisSweep`).
///
/// - Cost: that of `TruncatedSVD` of a g·m × n matrix, and a product of g·m·n² operations.
/// - Source: Basis Sharing (arXiv 2410.03765, §3), whose S is Lᵀ of METHODS §2.3.
struct SharedBasisProblem {
    let tasks: [CompressionTask]
    private let problem: WhitenedProblem
    /// Steps of the basis after that of the SVD, and how many; nil where that is the best already.
    private let sweep: (step: SharedBasisSweep, count: Int)?

    /// - Parameter sweeps: steps of the basis after that of the SVD.
    /// - Throws: `LinearAlgebraError` where the sum of the moments cannot be factored.
    init(_ tasks: [CompressionTask], sweeps: Int = 0) throws(LinearAlgebraError) {
        self.tasks = tasks
        let inputs = tasks.map(\.objective.inputs), features = tasks[0].member.inFeatures
        let hasMoments = inputs.contains { $0.isGram }
        // A member without moments among others that have them, an expert that was never chosen, says nothing of them.
        let counts = inputs.map { !hasMoments || $0.isGram }
        let means = zip(inputs, counts).map { $1 ? $0.meanWeight(size: features) : 0 }
        let mean = means.reduce(0, +) / Double(max(counts.count { $0 }, 1))
        let metric = try Metric.sum(inputs, weights: counts.map { $0 ? 1 : 0 }, size: features)
        let stacked = Self.stacked(tasks, scales: means.map { mean > 0 ? ($0 / mean).squareRoot() : 1 })
        problem = WhitenedProblem(Objective(target: MatrixOperand(stacked), inputs: metric))
        // Members that read the same are measured as the SVD measures them.
        let isExact = inputs.allSatisfy { $0.isSame(as: inputs[0]) }
        let counted = zip(tasks, counts).filter(\.1).map(\.0)
        sweep = isExact || sweeps == 0 ? nil : (SharedBasisSweep(tasks: counted, metric: metric), sweeps)
    }

    private static func stacked(_ tasks: [CompressionTask], scales: [Double]) -> Matrix {
        let rows = tasks.reduce(0) { $0 + $1.member.outFeatures }
        var stacked = Matrix(uninitializedRows: rows, columns: tasks[0].member.inFeatures)
        let target = stacked.mutableView()
        var first = 0
        for (task, scale) in zip(tasks, scales) {
            let weighted = task.objective.outputs.weighted(task.objective.target.transposed).transposed
            let part = target.rows(first..<first + weighted.rows)
            convert(weighted, into: MutableMatrixOperand(part))
            if scale != 1 {
                parallelFor(part.rows) { row in
                    let line = part.base + row * part.rowStride
                    for column in 0..<part.columns { line[column] *= Float(scale) }
                }
            }
            first += weighted.rows
        }
        return stacked
    }

    /// What was added to the diagonal of the summed moments.
    var shift: Double? { problem.shift }

    func decompose(_ body: (MatrixOperand) throws -> SVDResult) throws -> SVDResult { try problem.decompose(body) }

    // MARK: The basis

    /// B (r × n), every row as long as what it shares with the coefficients of a member.
    func basis(of svd: SVDResult, rank: Int) -> Matrix {
        var rows = Matrix(converting: problem.basis(of: svd, rank: rank).b)
        let view = rows.mutableView(), members = Double(tasks.count)
        for row in 0..<view.rows {
            let length = sumOfSquares(MatrixOperand(view.readable.rows(row..<row + 1))).squareRoot()
            guard length > 0 else { continue }
            let scale = Float(1 / (length * members.squareRoot()).squareRoot())
            for column in 0..<view.columns { view[row, column] *= scale }
        }
        return rows
    }

    /// The operators of all members in a basis of a rank that is at most that of the decomposition.
    func form(of svd: SVDResult, rank: Int, storage: MethodSettings.Storage) throws -> SharedBasisForm {
        var rows = basis(of: svd, rank: rank)
        for _ in 0..<(sweep?.count ?? 0) { rows = try sweep?.step.improved(rows) ?? rows }
        return try SharedBasisForm(
            tasks, rows: rows, storage: storage, evidence: evidence(of: svd, rank: rank))
    }

    private func evidence(of svd: SVDResult, rank: Int) -> CompressionEvidence {
        var evidence = CompressionEvidence(solver: svd.evidence.solver.rawValue)
        let total = svd.evidence.norm * svd.evidence.norm
        let kept = svd.singularValues.prefix(rank).reduce(0) { $0 + $1 * $1 }
        evidence.energyKept = total > 0 ? min(1, kept / total) : 1
        evidence.shift = shift
        return evidence
    }
}

/// A group in one basis: what is stored, and how well it does.
struct SharedBasisForm {
    let tasks: [CompressionTask]
    let operators: [SharedBasisOperator]
    private let computed: Matrix
    private let shared: CompressionEvidence

    /// - Parameter rows: B (r × n) before rounding; coefficients are fitted to what rounding makes of it.
    init(
        _ tasks: [CompressionTask], rows: Matrix, storage: MethodSettings.Storage, evidence: CompressionEvidence
    ) throws(LinearAlgebraError) {
        self.tasks = tasks
        computed = rows
        shared = evidence
        let basis = try Self.basis(rows, tasks[0].member, storage)
        let fit = SharedBasisFit(basis: basis.rows)
        var operators: [SharedBasisOperator] = []
        for task in tasks {
            let coefficients = try fit.coefficients(for: task.objective)
            operators.append(
                SharedBasisOperator(
                    basis: basis, coefficients: MatrixOperand(coefficients), storedAs: task.member.factorType))
        }
        self.operators = operators
    }

    private static func basis(
        _ rows: Matrix, _ first: GroupMember, _ storage: MethodSettings.Storage
    ) throws(LinearAlgebraError) -> SharedBasis {
        guard storage == .pivot else {
            return SharedBasis(rows: MatrixOperand(rows), group: first.module, storedAs: first.factorType)
        }
        // Columns are chosen among orthonormal rows, so that none is preferred for its scale.
        let tall = Matrix(rows: rows.columns, columns: rows.rows) { rows[$1, $0] }
        let choice = try PivotRows(of: try ThinQR(tall.view).q.view, count: rows.rows)
        return SharedBasis(
            rest: MatrixOperand(choice.interpolation), pivots: choice.pivots, group: first.module,
            storedAs: first.factorType)
    }

    /// Σ of the squared errors of the members, each in its own metric.
    var squaredError: Double {
        zip(tasks, operators).reduce(0) { sum, pair in
            let error = pair.0.objective.relativeError(of: pair.1)
            return sum + error * error * pair.0.objective.squaredNorm(of: pair.0.objective.target)
        }
    }

    /// Largest relative error of a member, each in its own metric.
    var largestError: Double {
        zip(tasks, operators).reduce(0) { max($0, $1.0.objective.relativeError(of: $1.1)) }
    }

    var outcomes: [CompressionOutcome] {
        get throws {
            let fit = SharedBasisFit(basis: MatrixOperand(computed))
            return try zip(tasks, operators).map { task, stored in
                var evidence = shared
                evidence.roundingError = Self.roundingError(
                    of: stored, coefficients: try fit.coefficients(for: task.objective), basis: computed, task)
                evidence.details["group"] = JSON(stored.basis.group)
                return .compressed(stored, evidence)
            }
        }
    }

    /// ‖W'_stored − C B‖_F / ‖T‖_F, C and B before rounding.
    private static func roundingError(
        of stored: SharedBasisOperator, coefficients: Matrix, basis: Matrix, _ task: CompressionTask
    ) -> Double {
        let norm = sumOfSquares(task.objective.target)
        guard norm > 0 else { return 0 }
        var optimum = Matrix(uninitializedRows: coefficients.rows, columns: basis.columns)
        multiply(MatrixOperand(coefficients), MatrixOperand(basis), into: optimum.mutableView())
        let difference = sumOfSquaredDifferences(MatrixOperand(optimum), MatrixOperand(stored.reconstruct()))
        return (difference / norm).squareRoot()
    }
}

extension Metric {
    fileprivate var isGram: Bool {
        if case .gram = self { true } else { false }
    }
}
