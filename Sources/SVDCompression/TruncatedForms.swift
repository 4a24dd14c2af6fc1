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
        /// ‖W'_stored − W'‖², summed where it is asked for.
        fileprivate let squaredRounding: () -> Double
        fileprivate var details = JSONObject()
    }

    /// Two factors of a rank that is at most that of the decomposition.
    func factors(rank: Int) -> Candidate {
        let (a, b) = problem.factors(of: svd, rank: rank)
        let form = FactorOperator(a: MatrixOperand(a), b: MatrixOperand(b), storedAs: task.member.factorType)
        let found = form.reconstruct()
        return Candidate(form: form, error: task.objective.relativeError(of: found), rank: rank) {
            sumOfSquaredDifferences(MatrixOperand(Self.product(MatrixOperand(a), b)), MatrixOperand(found))
        }
    }

    /// Pivot rows and coefficients of a rank that is at most that of the decomposition.
    func pivot(rank: Int) throws(LinearAlgebraError) -> Candidate {
        let (a, b) = problem.basis(of: svd, rank: rank)
        let found = try PivotForm(a: a, b: b, objective: task.objective, storedAs: task.member.factorType)
        let others = found.form.otherRows()
        let (rows, rest, stored) = (found.unroundedRows, found.rest, found.form.pivotRows)
        let error =
            task.objective.isPlain
            ? plainError(of: found.form, others)
            : task.objective.relativeError(of: found.form.reconstruct(others: others))
        var candidate = Candidate(form: found.form, error: error, rank: rank) {
            let exact = Self.product(PivotForm.rows(rest, of: MatrixOperand(a)), b)
            return sumOfSquaredDifferences(MatrixOperand(rows), stored)
                + sumOfSquaredDifferences(MatrixOperand(exact), MatrixOperand(others))
        }
        candidate.details["largest_coefficient"] = JSON(found.largestCoefficient)
        candidate.details["coefficient_norm"] = JSON(found.coefficientNorm)
        return candidate
    }

    /// ‖T − W'‖_F / ‖T‖_F, from the pivots and the other rows of W' where they lie.
    private func plainError(of form: PivotOperator, _ others: Matrix) -> Double {
        let target = task.objective.target, rows = form.rows.map { Int($0) }
        let lost =
            sumOfSquaredDifferences(PivotForm.rows(Array(rows[..<form.rank]), of: target), form.pivotRows)
            + sumOfSquaredDifferences(PivotForm.rows(Array(rows[form.rank...]), of: target), MatrixOperand(others))
        let norm = sumOfSquares(target)
        return norm > 0 ? (lost / norm).squareRoot() : lost == 0 ? 0 : .infinity
    }

    /// What any matrix of a rank must lose, as a relative error in the metric of the objective; a rank that is at most
    /// that of the decomposition.
    func leastError(rank: Int) -> Double { lostShare(rank: rank).squareRoot() }

    private static func product(_ a: MatrixOperand, _ b: Matrix) -> Matrix {
        var product = Matrix(uninitializedRows: a.rows, columns: b.columns)
        multiply(a, MatrixOperand(b), into: product.mutableView())
        return product
    }

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

    /// ‖W'_stored − W'‖_F / ‖T‖_F.
    private func roundingError(of candidate: Candidate) -> Double {
        let norm = sumOfSquares(task.objective.target)
        guard norm > 0 else { return 0 }
        return (candidate.squaredRounding() / norm).squareRoot()
    }

    private func pow2(_ value: Double) -> Double { value * value }
}
