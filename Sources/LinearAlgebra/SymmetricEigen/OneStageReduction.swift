import MatrixCore

/// Tridiagonal form of a small symmetric matrix, one reflector at a time: A = Q T Qᵀ.
///
/// - Input: all of A (n × n), overwritten. Row k takes reflector k right of the diagonal (v₀ = 1 included), as a
///   `BulgeChase` of bandwidth n − 1 with one step a sweep would leave it, so `BulgeReflectors` applies them.
/// - Cost: 8/3 n³ flops at the speed of the cache that holds A, so only for n of a few hundred.
/// - Source: LAPACK `dsytd2`; both triangles are kept so that every loop runs along rows.
struct OneStageReduction {
    private(set) var diagonal: [Double]
    private(set) var offDiagonal: [Double]
    /// τ (n − 2 × 1).
    private(set) var taus: Matrix64

    static func scratchBytes(size: Int) -> Int { 4 * size * MemoryLayout<Double>.stride }

    init(reducing a: MutableMatrixView<Double>) {
        let n = a.rows
        diagonal = (0..<n).map { _ in 0 }
        offDiagonal = (0..<max(0, n - 1)).map { _ in 0 }
        taus = Matrix64(rows: BulgeChase.sweeps(size: n), columns: 1)
        let products = AlignedBuffer<Double>(uninitializedCount: n)
        for k in 0..<taus.rows {
            let v = a.base + k * a.rowStride + k + 1
            let count = n - k - 1
            let reflector = ReflectorFactors(head: v[0], tailSquare: dotProduct(v + 1, v + 1, count - 1))
            for i in 1..<count { v[i] *= reflector.scale }
            v[0] = 1
            taus[k, 0] = reflector.tau
            offDiagonal[k] = reflector.beta
            let trailing = a.block(rows: k + 1..<n, columns: k + 1..<n)
            Self.applyFromBothSides(trailing, v, tau: reflector.tau, products: products.base)
        }
        for k in 0..<n { diagonal[k] = a[k, k] }
        if n > 1 { offDiagonal[n - 2] = a[n - 2, n - 1] }
    }

    /// a ← H a H with H = I − τ v vᵀ.
    private static func applyFromBothSides(
        _ a: MutableMatrixView<Double>, _ v: UnsafePointer<Double>, tau: Double, products w: UnsafeMutablePointer<Double>
    ) {
        guard tau != 0 else { return }
        let n = a.rows
        for i in 0..<n { w[i] = tau * dotProduct(a.base + i * a.rowStride, v, n) }
        let half = 0.5 * tau * dotProduct(w, v, n)
        for i in 0..<n { w[i] -= half * v[i] }
        for i in 0..<n {
            let row = a.base + i * a.rowStride
            let (x, y) = (v[i], w[i])
            for j in 0..<n { row[j] -= x * w[j] + y * v[j] }
        }
    }
}

/// Σ x_i y_i, in eight interleaved sums.
func dotProduct(_ x: UnsafePointer<Double>, _ y: UnsafePointer<Double>, _ count: Int) -> Double {
    var sums = SIMD8<Double>.zero
    let whole = count / 8 * 8
    for i in stride(from: 0, to: whole, by: 8) { sums += loadVector(x + i) * loadVector(y + i) }
    var sum = sums.sum()
    for i in whole..<max(count, whole) { sum += x[i] * y[i] }
    return sum
}
