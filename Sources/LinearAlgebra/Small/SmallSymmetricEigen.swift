import Foundation
import MatrixCore

/// Eigen-decomposition A = V diag(λ) Vᵀ of one small symmetric matrix (n × n, n up to a few hundred) on one thread.
///
/// Built for many small problems at once: no kernel call, no thread, every inner loop over contiguous numbers. Larger
/// matrices belong to the blocked solver.
///
/// - Method: Householder reduction to tridiagonal form, then implicitly shifted QL; rotations act on the rows of Vᵀ.
/// - Cost: about 9n³ operations with vectors; memory 2n².
/// - Source: Golub and Van Loan, Matrix Computations, §8.3; the iteration is EISPACK's `tql2` (Bowdler, Martin, Reinsch
///   and Wilkinson 1968). Departure: scaled by a power of two first.
public struct SmallSymmetricEigen: Sendable {
    /// λ, ascending.
    public let values: [Double]
    /// V (n × n), one eigenvector a column.
    public let vectors: Matrix64
    /// QL steps taken.
    public let iterations: Int

    /// - Parameter a: symmetric; only the lower triangle is read.
    /// - Throws: `shapeMismatch`, `nonFinite`, `notConverged` (never seen: QL on a tridiagonal takes about 1.7 steps a
    ///   value).
    public init(_ a: MatrixView<Double>) throws(LinearAlgebraError) {
        guard a.rows == a.columns else { throw .shapeMismatch(rows: a.rows, columns: a.columns, expected: "square") }
        let scale = try PowerOfTwoScale(of: a)
        let size = a.rows
        var tridiagonal = SmallTridiagonal(a, scale: scale.factor())
        iterations = try tridiagonal.diagonalise()
        let order = (0..<size).sorted { tridiagonal.diagonal[$0] < tridiagonal.diagonal[$1] }
        let rows = tridiagonal.transposedVectors
        values = order.map { tridiagonal.diagonal[$0] * scale.inverse() }
        vectors = Matrix64(rows: size, columns: size) { rows[order[$1], $0] }
    }
}

/// The reduction and the iteration; see `SmallSymmetricEigen`.
private struct SmallTridiagonal {
    let size: Int
    var diagonal: [Double]
    /// subdiagonal[i] couples i and i + 1; one unused place at the end.
    var subdiagonal: [Double]
    /// Vᵀ (n × n).
    var transposedVectors: Matrix64

    init(_ a: MatrixView<Double>, scale: Double) {
        size = a.rows
        diagonal = Array(repeating: 0, count: size)
        subdiagonal = Array(repeating: 0, count: size)
        transposedVectors = Matrix64(rows: size, columns: size)
        var work = Matrix64(rows: size, columns: size) { scale * ($1 <= $0 ? a[$0, $1] : a[$1, $0]) }
        let taus = reduce(work.mutableView())
        accumulate(work.view, taus)
    }

    /// Two-sided reflectors on the trailing block; row k of the work keeps v_k from entry k + 1 on.
    private mutating func reduce(_ a: MutableMatrixView<Double>) -> [Double] {
        var taus = [Double](repeating: 0, count: size)
        let product = AlignedBuffer<Double>(count: max(size, 1), repeating: 0)
        let w = product.base
        for k in 0..<max(size - 1, 0) {
            let first = k + 1
            let count = size - first
            diagonal[k] = a[k, k]
            let v = a.base + k * size + first
            let reflector = Reflector.make(from: v, count: count, Double.self)
            subdiagonal[k] = reflector.beta
            taus[k] = reflector.tau
            guard reflector.tau != 0 else { continue }
            for i in 0..<count { w[i] = reflector.tau * Double.dot(a.base + (first + i) * size + first, v, count) }
            let overlap = Double.dot(w, v, count)
            Double.addScaled(v, by: -0.5 * reflector.tau * overlap, to: w, count)
            for i in 0..<count {
                let row = a.base + (first + i) * size + first
                let vi = v[i]
                let wi = w[i]
                for j in 0..<count { row[j] -= vi * w[j] + wi * v[j] }
            }
        }
        if size > 0 { diagonal[size - 1] = a[size - 1, size - 1] }
        return taus
    }

    /// Vᵀ = H_(n−2) … H_0, from the last reflector back, so that each acts only on the block that is not yet identity.
    private mutating func accumulate(_ a: MatrixView<Double>, _ taus: [Double]) {
        let q = transposedVectors.mutableView()
        for i in 0..<size { q[i, i] = 1 }
        for k in stride(from: size - 2, through: 0, by: -1) where taus[k] != 0 {
            let first = k + 1
            let count = size - first
            let v = a.base + k * size + first
            for i in first..<size {
                let row = q.base + i * size + first
                Double.addScaled(v, by: -taus[k] * Double.dot(row, v, count), to: row, count)
            }
        }
    }

    /// - Returns: QL steps.
    mutating func diagonalise() throws(LinearAlgebraError) -> Int {
        var steps = 0
        let limit = 60 * max(size, 1)
        let tolerance = ElementType.float64.epsilon
        for l in 0..<size {
            while true {
                var m = l
                while m < size - 1 {
                    let neighbours = abs(diagonal[m]) + abs(diagonal[m + 1])
                    if abs(subdiagonal[m]) <= tolerance * neighbours || abs(subdiagonal[m]) < .leastNormalMagnitude {
                        break
                    }
                    m += 1
                }
                guard m > l else { break }
                steps += 1
                guard steps <= limit else { throw .notConverged(solver: "tridiagonal QL", iterations: limit) }
                sweep(from: m, to: l)
            }
        }
        return steps
    }

    /// One implicit QL step on rows l … m with Wilkinson's shift.
    private mutating func sweep(from m: Int, to l: Int) {
        var g = (diagonal[l + 1] - diagonal[l]) / (2 * subdiagonal[l])
        var r = hypot(g, 1)
        g = diagonal[m] - diagonal[l] + subdiagonal[l] / (g + (g < 0 ? -r : r))
        var sine = 1.0
        var cosine = 1.0
        var p = 0.0
        let vectors = transposedVectors.mutableView().base
        for i in stride(from: m - 1, through: l, by: -1) {
            let f = sine * subdiagonal[i]
            let b = cosine * subdiagonal[i]
            r = hypot(f, g)
            subdiagonal[i + 1] = r
            if r == 0 {
                // The rotation is the identity: the matrix has split here.
                diagonal[i + 1] -= p
                subdiagonal[m] = 0
                return
            }
            sine = f / r
            cosine = g / r
            g = diagonal[i + 1] - p
            r = (diagonal[i] - g) * sine + 2 * cosine * b
            p = sine * r
            diagonal[i + 1] = g + p
            g = cosine * r - b
            rotate(vectors + i * size, vectors + (i + 1) * size, cosine, sine)
        }
        diagonal[l] -= p
        subdiagonal[l] = g
        subdiagonal[m] = 0
    }

    @inline(__always)
    private func rotate(
        _ x: UnsafeMutablePointer<Double>, _ y: UnsafeMutablePointer<Double>, _ cosine: Double, _ sine: Double
    ) {
        for i in 0..<size {
            let a = x[i]
            let b = y[i]
            y[i] = sine * a + cosine * b
            x[i] = cosine * a - sine * b
        }
    }
}
