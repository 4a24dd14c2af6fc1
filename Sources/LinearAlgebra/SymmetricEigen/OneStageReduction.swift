import Kernels
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
        taus = Matrix64(rows: ChaseShape.sweeps(size: n), columns: 1)
        let kernels = VectorKernels<Double>()
        let products = AlignedBuffer<Double>(uninitializedCount: n)
        for k in 0..<taus.rows {
            let v = a.base + k * a.rowStride + k + 1
            let count = n - k - 1
            let reflector = ReflectorFactors(head: v[0], tailSquare: kernels.dot(v + 1, v + 1, count - 1))
            for i in 1..<count { v[i] *= reflector.scale }
            v[0] = 1
            taus[k, 0] = reflector.tau
            offDiagonal[k] = reflector.beta
            let trailing = a.block(rows: k + 1..<n, columns: k + 1..<n)
            Self.applyFromBothSides(trailing, v, reflector.tau, products.base, kernels)
        }
        for k in 0..<n { diagonal[k] = a[k, k] }
        if n > 1 { offDiagonal[n - 2] = a[n - 2, n - 1] }
    }

    /// a ← H a H with H = I − τ v vᵀ: a + v wᵀ + w vᵀ for w = −τ a v + ½ τ² (vᵀ a v) v.
    private static func applyFromBothSides(
        _ a: MutableMatrixView<Double>, _ v: UnsafePointer<Double>, _ tau: Double, _ w: UnsafeMutablePointer<Double>,
        _ kernels: VectorKernels<Double>
    ) {
        guard tau != 0 else { return }
        kernels.multiply(a.readable, v, into: w, alpha: -tau)
        kernels.add(-0.5 * tau * kernels.dot(w, v, a.rows), v, to: w, a.rows)
        let pair = UnsafePointer(w)
        kernels.addPair((v, pair), (pair, v), to: a)
    }
}
