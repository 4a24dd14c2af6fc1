import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Safetensors

/// A matrix decomposed once, from which forms of several ranks and storages are made.
struct TruncatedForms {
    let task: CompressionTask
    let problem: WhitenedProblem
    let svd: SVDResult

    /// A form as it would be written.
    struct Candidate {
        let form: any LinearOperator
        /// Relative error in the metric of the objective.
        let error: Double
        let rank: Int
        /// A and B before rounding.
        fileprivate let exact: (a: Matrix, b: Matrix)
        fileprivate var details = JSONObject()
    }

    /// Two factors of a rank that is at most that of the decomposition.
    func factors(rank: Int) -> Candidate {
        let exact = problem.factors(of: svd, rank: rank)
        let form = FactorOperator(
            a: MatrixOperand(exact.a), b: MatrixOperand(exact.b), storedAs: task.member.factorType)
        return Candidate(form: form, error: task.objective.relativeError(of: form), rank: rank, exact: exact)
    }

    /// Pivot rows and coefficients of a rank that is at most that of the decomposition.
    func pivot(rank: Int) throws(LinearAlgebraError) -> Candidate {
        let objective = task.objective
        let exact = problem.basis(of: svd, rank: rank)
        let found = try PivotForm(
            a: exact.a, b: exact.b, dual: DualBasis(objective, svd, rank: rank), objective: objective,
            storedAs: task.member.factorType)
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
            sumOfSquaredDifferences(pivots, form.pivotRows)
            + sumOfSquares(MatrixOperand(form.otherRows(subtractedFrom: PivotForm.rows(found.rest, of: target))))
        let norm = sumOfSquares(target)
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

    /// Vectors of random signs behind the estimate of the rounding error.
    private static let probes = 32

    /// ‖W'_stored − W'‖_F / ‖T‖_F, estimated from what both make of random signs: within one or two per cent, as the
    /// noise has no direction. The product itself would cost as much as choosing the rows.
    private func roundingError(of candidate: Candidate) -> Double {
        let norm = sumOfSquares(task.objective.target)
        guard norm > 0 else { return 0 }
        let (a, b) = candidate.exact
        let random: Matrix = CounterRandom(seed: 0, stream: 0x524F_554E_44).normalMatrix(
            rows: Self.probes, columns: b.columns)
        let signs = Matrix(rows: random.rows, columns: random.columns) { random[$0, $1] < 0 ? -1 : 1 }
        var inner = Matrix(uninitializedRows: signs.rows, columns: b.rows)
        var exact = Matrix(uninitializedRows: signs.rows, columns: a.rows), stored = exact
        multiply(MatrixOperand(signs), MatrixOperand(b).transposed, into: inner.mutableView())
        multiply(MatrixOperand(inner), MatrixOperand(a).transposed, into: exact.mutableView())
        candidate.form.apply(signs.view, into: stored.mutableView())
        let squared = sumOfSquaredDifferences(MatrixOperand(exact), MatrixOperand(stored)) / Double(Self.probes)
        return (squared / norm).squareRoot()
    }

    private func pow2(_ value: Double) -> Double { value * value }
}
