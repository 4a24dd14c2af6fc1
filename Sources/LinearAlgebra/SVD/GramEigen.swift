import MatrixCore

/// Eigenvalues and leading eigenvectors of a Gram matrix, for the routes of the SVD.
///
/// Values come first, so that a caller can pick the number of vectors from the whole spectrum.
enum GramEigen {
    /// - Parameter gram: symmetric positive semidefinite (n × n).
    /// - Parameter choose: gets all n eigenvalues, descending, and says how many vectors are wanted.
    /// - Returns: the eigenvalues, descending, and the vectors of the first ones (n × count).
    static func decompose(
        _ gram: Matrix64, choosing choose: ([Double]) throws -> Int
    ) throws -> (values: [Double], vectors: Matrix64) {
        let n = gram.rows
        let reduction = HouseholderTridiagonal(gram)
        // Values ascend; those of −T do so from the largest of T, with the same vectors.
        let solved = try TridiagonalEigen().decompose(
            diagonal: reduction.diagonal.map { -$0 }, offDiagonal: reduction.offDiagonal.map { -$0 },
            choosing: { values in 0..<(try choose(values.map { -$0 })) })
        var rows = Matrix64(solved.vectors.view.transposed)
        let vectors = rows.mutableView()
        for j in 0..<vectors.rows { reduction.backTransform(row: vectors.base + j * n) }
        return (solved.values.map { -$0 }, Matrix64(vectors.readable.transposed))
    }
}

/// Reduction of a symmetric matrix to tridiagonal form by reflectors, unblocked: A = Q T Qᵀ.
struct HouseholderTridiagonal {
    private(set) var diagonal: [Double] = []
    private(set) var offDiagonal: [Double] = []
    /// Row k holds reflector k from column k + 1 on (n × n).
    private var reflectors: Matrix64
    private var factors: [Double] = []

    /// - Parameter matrix: symmetric (n × n); of norm well inside the range of Double squared.
    init(_ matrix: Matrix64) {
        reflectors = matrix
        let n = matrix.rows
        let a = reflectors.mutableView()
        var w = [Double](repeating: 0, count: n)
        for k in 0..<n {
            diagonal.append(a[k, k])
            guard k + 1 < n else { break }
            let (alpha, beta) = Self.makeReflector(a.base + k * n + k + 1, n - k - 1)
            offDiagonal.append(alpha)
            factors.append(beta)
            guard beta != 0 else { continue }
            let v = a.base + k * n
            Self.rankTwoUpdate(a, v, from: k + 1, beta: beta, scratch: &w)
        }
    }

    /// x ← reflector v with H x = alpha e₁, H = I − beta v vᵀ.
    private static func makeReflector(_ x: UnsafeMutablePointer<Double>, _ count: Int) -> (alpha: Double, beta: Double) {
        var tail = 0.0
        for i in 1..<max(count, 1) { tail += x[i] * x[i] }
        guard tail > 0 else { return (x[0], 0) }
        let norm = (x[0] * x[0] + tail).squareRoot()
        let alpha = x[0] > 0 ? -norm : norm
        x[0] -= alpha
        return (alpha, 2 / (x[0] * x[0] + tail))
    }

    /// A ← H A H on rows and columns from `start` on; v is indexed by column.
    private static func rankTwoUpdate(
        _ a: MutableMatrixView<Double>, _ v: UnsafeMutablePointer<Double>, from start: Int, beta: Double,
        scratch w: inout [Double]
    ) {
        let n = a.rows
        var dot = 0.0
        for i in start..<n {
            var sum = 0.0
            let row = a.base + i * n
            for j in start..<n { sum += row[j] * v[j] }
            w[i] = beta * sum
            dot += w[i] * v[i]
        }
        for i in start..<n { w[i] -= 0.5 * beta * dot * v[i] }
        w.withUnsafeBufferPointer { w in
            for i in start..<n {
                let row = a.base + i * n
                let vi = v[i], wi = w[i]
                for j in start..<n { row[j] -= vi * w[j] + wi * v[j] }
            }
        }
    }

    /// x ← Q x for one vector x (n).
    func backTransform(row x: UnsafeMutablePointer<Double>) {
        let n = reflectors.rows
        let base = reflectors.view.base
        for k in factors.indices.reversed() where factors[k] != 0 {
            let v = base + k * n
            var dot = 0.0
            for i in (k + 1)..<n { dot += v[i] * x[i] }
            dot *= factors[k]
            for i in (k + 1)..<n { x[i] -= dot * v[i] }
        }
    }
}
