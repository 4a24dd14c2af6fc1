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

    /// Two factors of a rank that is at most that of the decomposition.
    func factors(rank: Int) -> (form: FactorOperator, evidence: CompressionEvidence) {
        let (a, b) = problem.factors(of: svd, rank: rank)
        let form = FactorOperator(a: MatrixOperand(a), b: MatrixOperand(b), storedAs: task.member.factorType)
        return (form, evidence(of: form, rank: rank, computed: (a, b)))
    }

    /// Pivot rows and coefficients of a rank that is at most that of the decomposition.
    func pivot(rank: Int) throws(LinearAlgebraError) -> (form: PivotOperator, evidence: CompressionEvidence) {
        let (a, b) = problem.basis(of: svd, rank: rank)
        let found = try PivotForm(a: a, b: b, objective: task.objective, storedAs: task.member.factorType)
        var evidence = evidence(of: found.form, rank: rank, computed: (a, b))
        evidence.details["largest_coefficient"] = JSON(found.largestCoefficient)
        evidence.details["coefficient_norm"] = JSON(found.coefficientNorm)
        return (found.form, evidence)
    }

    /// Relative error of a form as written, in the metric of the objective.
    func error(of form: any LinearOperator) -> Double { task.objective.relativeError(of: form) }

    private func evidence(
        of form: any LinearOperator, rank: Int, computed: (a: Matrix, b: Matrix)
    ) -> CompressionEvidence {
        var evidence = CompressionEvidence(solver: svd.evidence.solver.rawValue)
        evidence.energyKept = energyKept(rank: rank)
        evidence.shift = problem.shift
        evidence.roundingError = roundingError(of: form, computed)
        if svd.evidence.solver == .randomized {
            evidence.details["excess_error"] = JSON(svd.evidence.excessEstimate)
        }
        return evidence
    }

    private func energyKept(rank: Int) -> Double {
        let norm = svd.evidence.norm
        guard norm > 0 else { return 1 }
        let lost = svd.kept.dropFirst(rank).reduce(pow2(svd.evidence.truncationError)) { $0 + pow2($1) }
        return 1 - lost / pow2(norm)
    }

    /// ‖W'_stored − AB‖_F / ‖T‖_F.
    private func roundingError(of form: any LinearOperator, _ computed: (a: Matrix, b: Matrix)) -> Double {
        let norm = sumOfSquares(task.objective.target)
        guard norm > 0 else { return 0 }
        var optimum = Matrix(uninitializedRows: computed.a.rows, columns: computed.b.columns)
        multiply(MatrixOperand(computed.a), MatrixOperand(computed.b), into: optimum.mutableView())
        let difference = sumOfSquaredDifferences(MatrixOperand(optimum), MatrixOperand(form.reconstruct()))
        return (difference / norm).squareRoot()
    }

    private func pow2(_ value: Double) -> Double { value * value }
}
