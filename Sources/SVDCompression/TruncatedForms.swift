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

    /// A form as it would be written, with its matrix.
    struct Candidate {
        let form: any LinearOperator
        /// W'.
        let found: Matrix
        /// Relative error in the metric of the objective.
        let error: Double
        let rank: Int
        fileprivate let computed: (a: Matrix, b: Matrix)
        fileprivate var details = JSONObject()
    }

    /// Two factors of a rank that is at most that of the decomposition.
    func factors(rank: Int) -> Candidate {
        let (a, b) = problem.factors(of: svd, rank: rank)
        let form = FactorOperator(a: MatrixOperand(a), b: MatrixOperand(b), storedAs: task.member.factorType)
        return candidate(form, rank: rank, computed: (a, b))
    }

    /// Pivot rows and coefficients of a rank that is at most that of the decomposition.
    func pivot(rank: Int) throws(LinearAlgebraError) -> Candidate {
        let (a, b) = problem.basis(of: svd, rank: rank)
        let found = try PivotForm(a: a, b: b, objective: task.objective, storedAs: task.member.factorType)
        var candidate = candidate(found.form, rank: rank, computed: (a, b))
        candidate.details["largest_coefficient"] = JSON(found.largestCoefficient)
        candidate.details["coefficient_norm"] = JSON(found.coefficientNorm)
        return candidate
    }

    private func candidate(_ form: any LinearOperator, rank: Int, computed: (a: Matrix, b: Matrix)) -> Candidate {
        let found = form.reconstruct()
        return Candidate(
            form: form, found: found, error: task.objective.relativeError(of: found), rank: rank, computed: computed)
    }

    func outcome(_ candidate: Candidate) -> CompressionOutcome {
        var evidence = CompressionEvidence(solver: svd.evidence.solver.rawValue)
        evidence.energyKept = energyKept(rank: candidate.rank)
        evidence.shift = problem.shift
        evidence.roundingError = roundingError(of: candidate)
        if task.objective.isPlain { evidence.plainError = candidate.error }
        evidence.details["spectrum"] = SpectrumSample.json(svd.singularValues, rank: candidate.rank)
        if svd.evidence.solver == .randomized {
            evidence.details["excess_error"] = JSON(svd.evidence.excessEstimate)
        }
        for (key, value) in candidate.details.entries { evidence.details[key] = value }
        return .compressed(candidate.form, evidence)
    }

    private func energyKept(rank: Int) -> Double {
        let norm = svd.evidence.norm
        guard norm > 0 else { return 1 }
        let lost = svd.kept.dropFirst(rank).reduce(pow2(svd.evidence.truncationError)) { $0 + pow2($1) }
        return 1 - lost / pow2(norm)
    }

    /// ‖W'_stored − AB‖_F / ‖T‖_F.
    private func roundingError(of candidate: Candidate) -> Double {
        let norm = sumOfSquares(task.objective.target)
        guard norm > 0 else { return 0 }
        let (a, b) = candidate.computed
        var optimum = Matrix(uninitializedRows: a.rows, columns: b.columns)
        multiply(MatrixOperand(a), MatrixOperand(b), into: optimum.mutableView())
        let difference = sumOfSquaredDifferences(MatrixOperand(optimum), MatrixOperand(candidate.found))
        return (difference / norm).squareRoot()
    }

    private func pow2(_ value: Double) -> Double { value * value }
}
