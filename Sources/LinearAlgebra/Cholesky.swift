import Kernels
import MatrixCore

/// Cholesky factorisation G + shift · I = L Lᵀ of a symmetric positive semidefinite G (n × n).
///
/// The shift is zero for a matrix that is definite in working precision. A Gram matrix of too few samples is not; then
/// the smallest shift of a short list is added and reported:
///
///     shift = √n · ε · (trace / n) · growth^k,   k = 0, 1, 2, … while shift ≤ largestShift · (trace / n)
///
/// A pivot at or below rounding noise of its own diagonal entry (`Tolerance.pivot`) counts as a failure, so L never
/// holds a pivot made of noise only.
///
/// - Method: recursive halving: factor G₁₁, solve for L₂₁, G₂₂ ← G₂₂ − L₂₁L₂₁ᵀ, factor G₂₂. All but the leaves is
///   triangular solves and SYRK. Only the lower triangle of G is read.
/// - Cost: n³/3 operations for every shift tried; memory n².
/// - Source: Higham, Accuracy and Stability of Numerical Algorithms, §10.1 and §10.3.
public struct Cholesky: Sendable {
    public struct Options: Sendable {
        /// Largest shift to try, in units of the mean diagonal entry; 0 forbids shifting.
        public var largestShift = 1e-2
        /// Ratio of a shift to the one tried before.
        public var growth = 10.0
        /// Sizes up to this are factored row by row.
        public var leafSize = 64

        public init() {}
    }

    /// L (n × n), zeros above the diagonal.
    public let l: Matrix64
    /// What was added to the diagonal, in the units of G.
    public let shift: Double
    /// Factorisations started, the successful one included.
    public let attempts: Int

    /// - Throws: `shapeMismatch` if G is not square, `nonFinite`, and `notPositiveDefinite` with the last pivot if no
    ///   shift was enough.
    public init(_ g: Matrix64, options: Options = Options()) throws(LinearAlgebraError) {
        guard g.rows == g.columns else {
            throw .shapeMismatch(rows: g.rows, columns: g.columns, expected: "square")
        }
        try requireFinite(g.view)
        let size = g.rows
        let meanDiagonal = (0..<size).reduce(0) { $0 + g[$1, $1] } / Double(max(size, 1))
        let diagonal = (0..<size).map { g[$0, $0] }
        var shift = 0.0
        var attempts = 1
        while true {
            var work = g
            let view = work.mutableView()
            for i in 0..<size { view[i, i] += shift }
            let step = CholeskyStep(diagonal: diagonal.map { $0 + shift }, leafSize: max(1, options.leafSize))
            guard let failure = step.factor(view, offset: 0) else {
                for i in 0..<size { (view.base + i * size + i + 1).update(repeating: 0, count: size - i - 1) }
                l = work
                self.shift = shift
                self.attempts = attempts
                return
            }
            shift =
                shift == 0
                ? Tolerance.rounding(.float64, size: size, norm: meanDiagonal, factor: 1) : shift * options.growth
            guard shift > 0, shift <= options.largestShift * meanDiagonal else {
                throw .notPositiveDefinite(order: failure.order, pivot: failure.pivot)
            }
            attempts += 1
        }
    }

    /// L and the shift, with the default options.
    public static func factor(_ g: Matrix64) throws(LinearAlgebraError) -> (l: Matrix64, shift: Double) {
        let result = try Cholesky(g)
        return (result.l, result.shift)
    }

    /// x ← (L Lᵀ)⁻¹ x, x (n × p). Cost: 2n²p operations.
    public func solve(into x: MutableMatrixView<Double>) {
        precondition(x.rows == l.rows, "x has \(x.rows) rows, L has \(l.rows)")
        solveTriangular(l.view, .lower, into: x)
        solveTriangular(l.view.transposed, .upper, into: x)
    }

    /// (largest / smallest L_ii)²: a cheap lower bound of the condition number of G + shift · I.
    public var diagonalCondition: Double {
        let diagonal = (0..<l.rows).map { l[$0, $0] }
        guard let largest = diagonal.max(), let smallest = diagonal.min() else { return 1 }
        return (largest / smallest) * (largest / smallest)
    }
}

/// One attempt at a factorisation, in place.
private struct CholeskyStep {
    /// The diagonal before the factorisation; pivots are judged against it.
    let diagonal: [Double]
    let leafSize: Int

    /// Where and with which pivot a factorisation stopped.
    typealias Failure = (order: Int, pivot: Double)

    /// Replaces the lower triangle of a by L; the upper one is undefined on return.
    /// - Parameter offset: row of the whole matrix where a starts.
    func factor(_ a: MutableMatrixView<Double>, offset: Int) -> Failure? {
        guard a.rows > leafSize else { return factorLeaf(a, offset: offset) }
        let half = a.rows / 2
        let first = a.block(rows: 0..<half, columns: 0..<half)
        let below = a.block(rows: half..<a.rows, columns: 0..<half)
        let second = a.block(rows: half..<a.rows, columns: half..<a.rows)
        if let failure = factor(first, offset: offset) { return failure }
        solveTriangular(first.readable, .lower, into: below.transposed)
        multiplyByTranspose(MatrixOperand(below.readable), into: second, alpha: -1, beta: 1)
        return factor(second, offset: offset + half)
    }

    /// Row by row: every entry is one dot product of two rows of L.
    private func factorLeaf(_ a: MutableMatrixView<Double>, offset: Int) -> Failure? {
        for i in 0..<a.rows {
            let row = a.base + i * a.rowStride
            for j in 0..<i {
                let other = a.base + j * a.rowStride
                row[j] = (row[j] - Double.dot(row, other, j)) / other[j]
            }
            let pivot = row[i] - Double.dot(row, row, i)
            let noise = Tolerance.pivot(.float64, size: diagonal.count, diagonal: diagonal[offset + i])
            // Written so that a NaN fails.
            guard pivot > noise, pivot > 0 else { return (offset + i + 1, pivot) }
            row[i] = pivot.squareRoot()
        }
        return nil
    }
}
