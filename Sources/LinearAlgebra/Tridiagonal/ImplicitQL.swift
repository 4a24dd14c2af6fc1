import MatrixCore

/// Eigenvalues and vectors of a small symmetric tridiagonal matrix by the implicit QL iteration.
///
/// The leaf of the divide & conquer solver: O(n²) for values, 3n³ for vectors, at memory speed, so only for n of some
/// tens. Vectors are kept as *rows*: a rotation then mixes two contiguous rows.
///
/// - Source: Dubrulle, Martin, Wilkinson, "The implicit QL algorithm", Numer. Math. 12 (1968), in the form of EISPACK's
///   tql2.
struct ImplicitQL {
    /// Sweeps allowed for one eigenvalue; three are usual.
    static let sweepLimit = 60
    /// An off-diagonal below this (the matrix is scaled to norm about 1) is zero.
    static let negligible = 0x1p-960

    /// - Parameters:
    ///   - diagonal: n numbers; on return the eigenvalues, ascending.
    ///   - offDiagonal: n numbers of which the last is scratch; destroyed.
    ///   - vectors: n rows, rotated: the identity becomes the eigenvectors, row j that of eigenvalue j.
    static func decompose(
        _ diagonal: inout [Double], _ offDiagonal: inout [Double], rotating vectors: MutableMatrixView<Double>
    ) throws(LinearAlgebraError) {
        let n = diagonal.count
        var failure: LinearAlgebraError?
        diagonal.withUnsafeMutableBufferPointer { d in
            offDiagonal.withUnsafeMutableBufferPointer { e in
                guard let d = d.baseAddress, let e = e.baseAddress else { return }
                do throws(LinearAlgebraError) {
                    let shape = (stride: vectors.rowStride, width: vectors.columns)
                    try decompose(n, diagonal: d, offDiagonal: e, vectors: vectors.base, shape: shape)
                } catch {
                    failure = error
                }
            }
        }
        if let failure { throw failure }
    }

    /// The same on raw memory.
    private static func decompose(
        _ n: Int, diagonal d: UnsafeMutablePointer<Double>, offDiagonal e: UnsafeMutablePointer<Double>,
        vectors z: UnsafeMutablePointer<Double>, shape: (stride: Int, width: Int)
    ) throws(LinearAlgebraError) {
        guard n > 1 else { return }
        e[n - 1] = 0
        for l in 0..<n {
            var sweeps = 0
            while true {
                let m = firstSplit(from: l, n, d, e)
                if m == l { break }
                sweeps += 1
                guard sweeps <= sweepLimit else {
                    throw .notConverged(solver: "implicit QL", iterations: sweepLimit)
                }
                sweep(l, m, d, e, z, shape)
            }
        }
        sort(n, d, z, shape)
    }

    /// The first m ≥ l whose off-diagonal is negligible beside its neighbours.
    private static func firstSplit(
        from l: Int, _ n: Int, _ d: UnsafeMutablePointer<Double>, _ e: UnsafeMutablePointer<Double>
    ) -> Int {
        var m = l
        while m < n - 1 {
            let neighbours = d[m].magnitude + d[m + 1].magnitude
            if e[m].magnitude <= max(Double.ulpOfOne * 0.5 * neighbours, negligible) { break }
            m += 1
        }
        return m
    }

    /// One implicit shifted QL sweep over rows l … m.
    private static func sweep(
        _ l: Int, _ m: Int, _ d: UnsafeMutablePointer<Double>, _ e: UnsafeMutablePointer<Double>,
        _ z: UnsafeMutablePointer<Double>, _ shape: (stride: Int, width: Int)
    ) {
        var g = (d[l + 1] - d[l]) / (2 * e[l])
        var r = hypotenuse(g, 1)
        g = d[m] - d[l] + e[l] / (g + (g < 0 ? -r : r))
        var s = 1.0, c = 1.0, p = 0.0
        var i = m - 1
        while i >= l {
            let f = s * e[i], b = c * e[i]
            r = hypotenuse(f, g)
            e[i + 1] = r
            if r == 0 {  // underflow: the matrix has split here
                d[i + 1] -= p
                e[m] = 0
                return
            }
            s = f / r
            c = g / r
            g = d[i + 1] - p
            r = (d[i] - g) * s + 2 * c * b
            p = s * r
            d[i + 1] = g + p
            g = c * r - b
            rotate(z + i * shape.stride, z + (i + 1) * shape.stride, shape.width, c, s)
            i -= 1
        }
        d[l] -= p
        e[l] = g
        e[m] = 0
    }

    @inline(__always)
    private static func hypotenuse(_ a: Double, _ b: Double) -> Double {
        let large = max(a.magnitude, b.magnitude), small = min(a.magnitude, b.magnitude)
        guard large > 0 else { return 0 }
        let ratio = small / large
        return large * (1 + ratio * ratio).squareRoot()
    }

    @inline(__always)
    private static func rotate(
        _ x: UnsafeMutablePointer<Double>, _ y: UnsafeMutablePointer<Double>, _ count: Int, _ c: Double, _ s: Double
    ) {
        for k in 0..<count {
            let a = x[k], b = y[k]
            y[k] = s * a + c * b
            x[k] = c * a - s * b
        }
    }

    /// Selection sort: n is small and rows are swapped at most n times.
    private static func sort(
        _ n: Int, _ d: UnsafeMutablePointer<Double>, _ z: UnsafeMutablePointer<Double>,
        _ shape: (stride: Int, width: Int)
    ) {
        for i in 0..<(n - 1) {
            var least = i
            for j in (i + 1)..<n where d[j] < d[least] { least = j }
            guard least != i else { continue }
            (d[i], d[least]) = (d[least], d[i])
            let x = z + i * shape.stride, y = z + least * shape.stride
            for k in 0..<shape.width { (x[k], y[k]) = (y[k], x[k]) }
        }
    }
}
