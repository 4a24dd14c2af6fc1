import MatrixCore

/// Thin SVD A = U diag(σ) Vᵀ of one small matrix (m × n, k = min(m, n) up to a few hundred) on one thread.
///
/// Every σ is found to high accuracy relative to itself where A = B D with a well-conditioned B and a diagonal D: small
/// singular values are not lost to large ones as they are through a Gram matrix.
///
/// - Method: one-sided Jacobi: rotate pairs of columns until all are orthogonal; their norms are σ. Tall matrices are
///   reduced to R first, wide ones are transposed. Columns that end as zero are completed to an orthonormal U.
/// - Cost: about 6k³ operations a sweep after the reduction, 5–10 sweeps; memory 2k² + mk.
/// - Source: Hestenes 1958; de Rijk's order of columns, 1989; Demmel and Veselić, "Jacobi's method is more accurate
///   than QR", 1992.
public struct SmallSVD: Sendable {
    /// U (m × k).
    public let u: Matrix64
    /// σ, descending.
    public let values: [Double]
    /// V (n × k).
    public let v: Matrix64
    public let sweeps: Int

    /// - Throws: `nonFinite`, `notConverged`.
    public init(_ a: MatrixView<Double>) throws(LinearAlgebraError) {
        guard a.rows >= a.columns else {
            let flipped = try SmallSVD(a.transposed)
            (u, values, v, sweeps) = (flipped.v, flipped.values, flipped.u, flipped.sweeps)
            return
        }
        let scale = try PowerOfTwoScale(of: a)
        var options = HouseholderQR<Double>.Options()
        options.method = .unblocked
        let qr = try HouseholderQR(a, options: options)
        var jacobi = OneSidedJacobi(qr.r, scale: scale.factor())
        sweeps = try jacobi.run()
        let size = a.columns
        let order = (0..<size).sorted { jacobi.norms[$0] > jacobi.norms[$1] }
        let rotations = jacobi.transposedV
        values = order.map { jacobi.norms[$0] * scale.inverse() }
        v = Matrix64(rows: size, columns: size) { rotations[order[$1], $0] }
        let left = try jacobi.leftVectors(order: order, options: options)
        var u = Matrix64(rows: a.rows, columns: size)
        let view = u.mutableView()
        Double.copy(left.view, scaledBy: 1, into: view.rows(0..<size))
        qr.applyQ(to: view)
        self.u = u
    }
}

/// The rotation of columns until they are orthogonal; see `SmallSVD`.
private struct OneSidedJacobi {
    let size: Int
    /// Aᵀ (n × n): columns are contiguous; they end as σ_j u_j.
    var columns: Matrix64
    /// Vᵀ (n × n).
    var transposedV: Matrix64
    var norms: [Double]
    /// Squared norms below this, the largest being near 1, have lost digits to underflow: such columns count as zero.
    static let negligibleSquares = 0x1p-900

    init(_ r: Matrix64, scale: Double) {
        size = r.columns
        columns = Matrix64(rows: size, columns: size) { scale * r[$1, $0] }
        transposedV = .identity(size)
        norms = Array(repeating: 0, count: size)
    }

    /// - Returns: sweeps over all pairs.
    mutating func run() throws(LinearAlgebraError) -> Int {
        let limit = 60
        let tolerance = Tolerance.offDiagonal(.float64, size: size)
        let a = columns.mutableView().base
        let v = transposedV.mutableView().base
        var sweeps = 0
        var rotated = size > 1
        while rotated {
            guard sweeps < limit else { throw .notConverged(solver: "one-sided Jacobi", iterations: limit) }
            sweeps += 1
            rotated = false
            for p in 0..<size - 1 {
                bringLargest(to: p, a, v)
                for q in (p + 1)..<size where rotate(p, q, a, v, tolerance) { rotated = true }
            }
        }
        for j in 0..<size { norms[j] = Double.dot(a + j * size, a + j * size, size).squareRoot() }
        return sweeps
    }

    /// Large columns first: small ones are then rotated against what they must be orthogonal to.
    private func bringLargest(to p: Int, _ a: UnsafeMutablePointer<Double>, _ v: UnsafeMutablePointer<Double>) {
        var best = p
        var bestSquares = Double.dot(a + p * size, a + p * size, size)
        for j in (p + 1)..<size {
            let squares = Double.dot(a + j * size, a + j * size, size)
            if squares > bestSquares { (best, bestSquares) = (j, squares) }
        }
        guard best != p else { return }
        for i in 0..<size {
            swap(&a[p * size + i], &a[best * size + i])
            swap(&v[p * size + i], &v[best * size + i])
        }
    }

    private func rotate(
        _ p: Int, _ q: Int, _ a: UnsafeMutablePointer<Double>, _ v: UnsafeMutablePointer<Double>, _ tolerance: Double
    ) -> Bool {
        let x = a + p * size
        let y = a + q * size
        let xx = Double.dot(x, x, size)
        let yy = Double.dot(y, y, size)
        let xy = Double.dot(x, y, size)
        guard min(xx, yy) > Self.negligibleSquares, abs(xy) > tolerance * xx.squareRoot() * yy.squareRoot() else {
            return false
        }
        // The smaller root of t² + 2ζt − 1 = 0; |ζ| may overflow its square, and t is then 1/(2ζ).
        let zeta = (yy - xx) / (2 * xy)
        let magnitude = abs(zeta)
        let root = magnitude > 0x1p500 ? magnitude : (1 + magnitude * magnitude).squareRoot()
        let tangent = (zeta < 0 ? -1 : 1) / (magnitude + root)
        let cosine = 1 / (1 + tangent * tangent).squareRoot()
        let sine = cosine * tangent
        turn(x, y, cosine, sine)
        turn(v + p * size, v + q * size, cosine, sine)
        return true
    }

    @inline(__always)
    private func turn(
        _ x: UnsafeMutablePointer<Double>, _ y: UnsafeMutablePointer<Double>, _ cosine: Double, _ sine: Double
    ) {
        for i in 0..<size {
            let a = x[i]
            let b = y[i]
            x[i] = cosine * a - sine * b
            y[i] = sine * a + cosine * b
        }
    }

    /// U (n × n), its columns in the given order; directions of columns that count as zero are completed.
    func leftVectors(
        order: [Int], options: HouseholderQR<Double>.Options
    ) throws(LinearAlgebraError) -> Matrix64 {
        let sound = order.prefix { norms[$0] * norms[$0] > Self.negligibleSquares }
        var u = Matrix64(rows: size, columns: size) { i, j in
            j < sound.count ? columns[order[j], i] / norms[order[j]] : 0
        }
        guard sound.count < size else { return u }
        let basis = try HouseholderQR(u.view.columns(0..<sound.count), options: options)
        var complement = Matrix64(rows: size, columns: size - sound.count)
        let view = complement.mutableView()
        for j in sound.count..<size { view[j, j - sound.count] = 1 }
        basis.applyQ(to: view)
        Double.copy(complement.view, scaledBy: 1, into: u.mutableView().columns(sound.count..<size))
        return u
    }
}
