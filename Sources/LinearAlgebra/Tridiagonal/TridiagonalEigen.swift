import Foundation
import Kernels
import MatrixCore

/// Eigenvalues of a symmetric tridiagonal matrix, and the eigenvectors of a range of them, by divide & conquer.
///
/// T = V Λ Vᵀ for T (n × n) given by its diagonal and off-diagonal. The matrix is torn in halves by a rank-one
/// correction until pieces are small (`ImplicitQL`), and put together again by solving the secular equation of each
/// correction (`RankOneMerge`). Vectors in Float are made one by one from the values (`SeparatedVectors`), for which
/// the merges keep of their vectors the ends alone.
///
/// ```swift
/// let (values, vectors) = try TridiagonalEigen().decompose(diagonal: d, offDiagonal: e, vectors: 0..<10)
/// ```
///
/// - Accuracy: ‖T V − V Λ‖ and ‖VᵀV − I‖ within a small multiple of ε·√n (times ‖T‖). T is scaled by a power of two to
///   norm about 1, so any finite numbers will do.
/// - Cost: without deflation 4/3·n³ flops in matrix products for all vectors in Double; the last merge, half of it,
///   shrinks with the share of vectors asked for. The secular equations cost O(n²), a vector in Float O(n). Memory:
///   1.5·n² numbers at the peak, of which Float takes none where eigenvalues are apart.
/// - Source: Cuppen, Numer. Math. 36 (1981); Gu and Eisenstat, SIAM J. Matrix Anal. Appl. 16 (1995); Li, LAPACK working
///   note 89 (1993) for the iteration; deflation as LAPACK's dlaed2. We keep vectors as rows, apply the rotations of
///   deflation to the coefficients and not to the vectors, and make the vectors of the last merge on demand.
public struct TridiagonalEigen: Sendable {
    /// What vectors are accurate to. Values are accurate to Double always.
    public enum Precision: Sendable {
        case double
        /// Orthonormal, and T V = V Λ, to the rounding of Float (times ‖T‖), by n operations for each number of T
        /// instead of products of matrices.
        case float
    }

    /// Pieces of this order or less are solved by the QL iteration.
    public var leafSize = 32
    public var precision = Precision.double

    public init(leafSize: Int = 32, precision: Precision = .double) {
        self.leafSize = leafSize
        self.precision = precision
    }

    /// - Parameters:
    ///   - diagonal: n numbers.
    ///   - offDiagonal: n − 1 numbers.
    ///   - vectors: positions in the ascending order of the eigenvalues.
    /// - Returns: all eigenvalues, ascending, and the vectors asked for as columns (n × vectors.count).
    public func decompose(
        diagonal: [Double], offDiagonal: [Double], vectors: Range<Int>
    ) throws(LinearAlgebraError) -> (values: [Double], vectors: Matrix64) {
        guard vectors.lowerBound >= 0, vectors.upperBound <= diagonal.count else {
            throw .shapeMismatch(rows: diagonal.count, columns: diagonal.count, expected: "large enough for \(vectors)")
        }
        let solution = try solve(diagonal, offDiagonal)
        return (solution.values, try solution.vectors(vectors))
    }

    /// The same with the range of the vectors picked by `choosing` when it sees the eigenvalues, ascending.
    /// - Throws: `LinearAlgebraError`, or what the closure throws. The range is clamped to 0 ..< n.
    public func decompose(
        diagonal: [Double], offDiagonal: [Double], choosing: ([Double]) throws -> Range<Int>
    ) throws -> (values: [Double], vectors: Matrix64) {
        let solution = try solve(diagonal, offDiagonal)
        let range = try choosing(solution.values).clamped(to: 0..<diagonal.count)
        return (solution.values, try solution.vectors(range))
    }

    /// Bytes of working memory for order n and `count` vectors, besides the result: at the peak either the vectors of
    /// both halves with what they are made from, or the halves with the coefficients and rows of the last merge.
    public static func scratchBytes(order n: Int, vectors count: Int) -> Int {
        let halves = n * n / 2
        return max(halves + n * n / 2, halves + n * n / 4 + 2 * count * n) * MemoryLayout<Double>.stride
    }

    private func solve(
        _ diagonal: [Double], _ offDiagonal: [Double]
    ) throws(LinearAlgebraError) -> TridiagonalSolution {
        let n = diagonal.count
        guard offDiagonal.count == max(n - 1, 0) else {
            throw .shapeMismatch(rows: n, columns: offDiagonal.count, expected: "n numbers and n − 1 beside them")
        }
        if let i = diagonal.firstIndex(where: { !$0.isFinite }) { throw .nonFinite(row: i, column: i) }
        if let i = offDiagonal.firstIndex(where: { !$0.isFinite }) { throw .nonFinite(row: i, column: i + 1) }
        let largest = max(diagonal.reduce(0) { max($0, $1.magnitude) }, offDiagonal.reduce(0) { max($0, $1.magnitude) })
        let exponent = largest > 0 ? Int(largest.exponent) : 0
        let d = diagonal.map { scalbn($0, -exponent) }
        let e = offDiagonal.map { scalbn($0, -exponent) }
        var blocks: [TridiagonalBlock] = []
        var start = 0
        for i in 0..<n where i == n - 1 || Self.isNegligible(e[i], beside: d[i], d[i + 1]) {
            blocks.append(
                try TridiagonalBlock(
                    diagonal: Array(d[start...i]), offDiagonal: Array(e[start..<i]), start: start, leafSize: leafSize,
                    keeping: precision == .double ? .vectors : .ends))
            start = i + 1
        }
        return TridiagonalSolution(order: n, blocks: blocks, exponent: exponent)
    }

    /// Whether T splits at an off-diagonal: the criterion of LAPACK's dstedc, which spares small but sound eigenvalues.
    private static func isNegligible(_ e: Double, beside a: Double, _ b: Double) -> Bool {
        e.magnitude <= Double.ulpOfOne / 2 * a.magnitude.squareRoot() * b.magnitude.squareRoot()
            || e.magnitude < ImplicitQL.negligible
    }
}
