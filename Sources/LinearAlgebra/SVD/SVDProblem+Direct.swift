import Kernels
import MatrixCore

/// The direct route: `GramPeeling` of the whole matrix in Float64.
extension SVDProblem {
    func decomposeDirectly(choosingRank: ([Double]) throws -> Int) throws -> SVDResult {
        var evidence = evidence(.direct)
        var left = Matrix64(uninitializedRows: tall.rows, columns: shortSide)
        convert(tall, into: MutableMatrixOperand(left.mutableView()))
        let peeled = try evidence.timed("peeling") { try GramPeeling().decompose(&left) }
        let rank = min(max(try choosingRank(peeled.values), 0), shortSide)
        let dropped = peeled.values.dropFirst(rank).reversed().reduce(0) { $0 + $1 * $1 }
        evidence.truncationError = dropped.squareRoot()
        evidence.excessEstimate = excess(squaredError: 0, dropped: dropped)
        let long = Matrix(rounding: left, columns: rank), short = Matrix(rounding: peeled.rotation, columns: rank)
        return result(longFactor: long, shortFactor: short, values: peeled.values, evidence: evidence)
    }
}
