import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Safetensors

/// A matrix decomposed once, from which forms of several ranks and storages are made.
struct TruncatedForms {
    let task: CompressionTask
    /// What other ranks have in common with these.
    let shared: SharedTruncation
    let svd: SVDResult

    private var problem: WhitenedProblem { shared.problem }

    /// A form as it would be written.
    struct Candidate {
        let form: any LinearOperator
        /// Relative error in the metric of the objective.
        let error: Double
        let rank: Int
        /// A and B before rounding.
        fileprivate let exact: (a: Matrix, b: MatrixOperand)
        fileprivate var details = JSONObject()
    }

    /// Two factors of a rank that is at most that of the decomposition.
    func factors(rank: Int) -> Candidate {
        let exact = problem.factors(of: svd, rank: rank)
        let form = FactorOperator(
            a: MatrixOperand(exact.a), b: MatrixOperand(exact.b), storedAs: task.member.factorType)
        return Candidate(
            form: form, error: task.objective.relativeError(of: form), rank: rank,
            exact: (exact.a, MatrixOperand(exact.b)))
    }

    /// Pivot rows and coefficients of a rank that is at most that of the decomposition.
    func pivot(rank: Int) throws(LinearAlgebraError) -> Candidate {
        let objective = task.objective
        let exact = problem.basis(of: svd, rank: rank)
        let found = try PivotForm(
            RowChoice(of: exact.a, shared.choices), b: exact.b, dual: DualBasis(objective, svd, rank: rank),
            objective: objective, storedAs: task.member.factorType)
        let error = objective.isPlain ? plainError(of: found) : objective.relativeError(of: found.form)
        var candidate = Candidate(form: found.form, error: error, rank: rank, exact: exact)
        candidate.details["largest_coefficient"] = JSON(found.largestCoefficient)
        candidate.details["coefficient_norm"] = JSON(found.coefficientNorm)
        return candidate
    }

    /// ‖T − W'‖_F / ‖T‖_F, from the pivots and the other rows of W' where they lie.
    private func plainError(of found: PivotForm) -> Double {
        let target = task.objective.target, form = found.form
        let pivots = PivotForm.rows(form.rows.prefix(form.rank).map { Int($0) }, of: target)
        let lost =
            sumOfSquaredDifferences(pivots, form.pivotRows) + form.squaredErrorOfOtherRows(found.rest, of: target)
        let norm = shared.squaredNorm
        return norm > 0 ? (lost / norm).squareRoot() : lost == 0 ? 0 : .infinity
    }

    /// What any matrix of a rank must lose, as a relative error in the metric of the objective; a rank that is at most
    /// that of the decomposition.
    func leastError(rank: Int) -> Double { lostShare(rank: rank).squareRoot() }

    func outcome(_ candidate: Candidate, _ stages: StageTimes) -> CompressionOutcome {
        var evidence = CompressionEvidence(solver: svd.evidence.solver.rawValue)
        var stages = stages
        evidence.energyKept = energyKept(rank: candidate.rank)
        evidence.shift = problem.shift
        evidence.roundingError = stages.timed("measure") { roundingError(of: candidate) }
        evidence.stages = stages
        if task.objective.isPlain { evidence.plainError = candidate.error }
        evidence.details["spectrum"] = SpectrumSample.json(svd.singularValues, rank: candidate.rank)
        if svd.evidence.solver == .randomized {
            evidence.details["excess_error"] = JSON(svd.evidence.excessEstimate)
        }
        for (key, value) in candidate.details.entries { evidence.details[key] = value }
        return .compressed(candidate.form, evidence)
    }

    private func energyKept(rank: Int) -> Double { 1 - lostShare(rank: rank) }

    private func lostShare(rank: Int) -> Double {
        let norm = svd.evidence.norm
        guard norm > 0 else { return 0 }
        let lost = svd.kept.dropFirst(rank).reduce(pow2(svd.evidence.truncationError)) { $0 + pow2($1) }
        return lost / pow2(norm)
    }

    /// Vectors of random signs behind the estimate of the rounding error: as many numbers of a component come of it as
    /// the first says, from no fewer vectors than the second and no more than the third.
    private static let probes = (numbers: 8192, least: 16, most: 32)

    /// ‖W'_stored − W'‖_F / ‖T‖_F, estimated from what both make of random signs: within one or two per cent, as the
    /// noise has no direction. The product itself would cost as much as choosing the rows.
    private func roundingError(of candidate: Candidate) -> Double {
        let norm = shared.squaredNorm
        guard norm > 0 else { return 0 }
        let (a, b) = candidate.exact
        let count = min(max(Self.probes.numbers / max(candidate.rank, 1), Self.probes.least), Self.probes.most)
        let signs = Self.signs(rows: count, columns: b.columns)
        var inner = Matrix(uninitializedRows: b.rows, columns: count)
        var exact = Matrix(uninitializedRows: count, columns: a.rows), stored = exact
        multiplyNarrow(b, MatrixOperand(signs).transposed, into: inner.mutableView())
        multiplyNarrow(MatrixOperand(a), MatrixOperand(inner), into: exact.mutableView().transposed)
        candidate.form.apply(signs.view, into: stored.mutableView())
        let squared = sumOfSquaredDifferences(MatrixOperand(exact), MatrixOperand(stored)) / Double(count)
        return (squared / norm).squareRoot()
    }

    /// At most 64 rows: the bits of one random number are those of a column.
    private static func signs(rows: Int, columns: Int) -> Matrix {
        let random = CounterRandom(seed: 0, stream: 0x524F_554E_44)
        let bits = (0..<columns).map { random.bits($0) }
        var signs = Matrix(uninitializedRows: rows, columns: columns)
        let target = signs.mutableView()
        for row in 0..<rows {
            for column in 0..<columns { target[row, column] = bits[column] >> UInt64(row) & 1 == 0 ? 1 : -1 }
        }
        return signs
    }

    private func pow2(_ value: Double) -> Double { value * value }
}
