import Kernels
import MatrixCore

/// Whether the columns of a matrix A (m × k) are orthonormal: no element of E = AᵀA − I above a limit.
///
/// E is first applied to vectors s of random signs. The mean of (E s)_i² over all s is near the sum of the squares of
/// row i, whatever their signs: an element e adds its e². Where these means are well below the square of the limit in
/// all rows, no element can be near it. Only elsewhere E itself is formed and looked at.
///
/// - Cost: 128 m k operations; where E is formed, m k² more.
/// - Source: Hutchinson 1989, for random signs; here they judge rows and not the trace.
struct Orthonormality {
    let limit: Double
    /// Random vectors: as many as a product with few columns takes.
    private static var probes: Int { 32 }
    /// The share of the limit up to which a row is believed without being looked at. Three quarters are three standard
    /// deviations below an element at the limit among others that come to half of it.
    private static var believedShare: Double { 0.75 }

    func holds(_ a: Matrix) -> Bool { seemsToHold(a) || holdsForEveryElement(of: a) }

    private func seemsToHold(_ a: Matrix) -> Bool {
        let count = Self.probes
        var applied: Matrix = CounterRandom(seed: 0x0E7).signMatrix(rows: a.columns, columns: count)
        let signs = applied.mutableView()
        var combined = Matrix(uninitializedRows: a.rows, columns: count)
        multiplyNarrow(MatrixOperand(a), MatrixOperand(signs.readable), into: combined.mutableView())
        multiplyNarrow(MatrixOperand(a).transposed, MatrixOperand(combined), into: signs, alpha: 1, beta: -1)
        let believed = Double(count) * (Self.believedShare * limit) * (Self.believedShare * limit)
        return (0..<a.columns).allSatisfy { i in
            Float.sumOfSquares(signs.base + i * signs.rowStride, count) <= believed
        }
    }

    private func holdsForEveryElement(of a: Matrix) -> Bool {
        var gram = Matrix(uninitializedRows: a.columns, columns: a.columns)
        let target = gram.mutableView()
        multiplyTriangle(MatrixOperand(a).transposed, MatrixOperand(a), .lower, into: target)
        for i in 0..<a.columns {
            target[i, i] -= 1
            let row = target.readable.block(rows: i..<i + 1, columns: 0..<i + 1)
            if !(Float.largestMagnitude(row) <= limit) { return false }
        }
        return true
    }
}
