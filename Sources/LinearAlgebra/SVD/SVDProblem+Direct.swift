import Kernels
import MatrixCore

/// The direct route: `GramPeeling` of the whole matrix in Float64. All ranks are cut from one decomposition.
extension SVDProblem {
    struct DirectDecomposition {
        let values: [Double]
        let left: Matrix64  // (long × short)
        let right: Matrix64  // (short × short)
        let evidence: SVDEvidence
    }

    func directDecomposition() throws(LinearAlgebraError) -> DirectDecomposition {
        var evidence = evidence(.direct)
        var left = Matrix64(uninitializedRows: tall.rows, columns: shortSide)
        convert(tall, into: MutableMatrixOperand(left.mutableView()))
        let peeled = try evidence.timed("peeling") { () throws(LinearAlgebraError) in
            try GramPeeling().decompose(&left)
        }
        return DirectDecomposition(values: peeled.values, left: left, right: peeled.rotation, evidence: evidence)
    }

    func cut(_ decomposition: DirectDecomposition, rank: Int) -> SVDResult {
        var evidence = decomposition.evidence
        let dropped = decomposition.values.dropFirst(rank).reversed().reduce(0) { $0 + $1 * $1 }
        evidence.truncationError = dropped.squareRoot()
        evidence.excessEstimate = excess(squaredError: 0, dropped: dropped)
        let long = Matrix(rounding: decomposition.left, columns: rank)
        let short = Matrix(rounding: decomposition.right, columns: rank)
        return result(longFactor: long, shortFactor: short, values: decomposition.values, evidence: evidence)
    }
}
