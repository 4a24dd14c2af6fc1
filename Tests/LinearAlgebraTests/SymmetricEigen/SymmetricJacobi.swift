import MatrixCore

/// Eigenvalues and vectors by cyclic Jacobi rotations: slow, short, and unlike anything in the library.
///
/// - Returns: values descending; vectors as columns.
func jacobiEigen(_ matrix: Matrix64) -> (values: [Double], vectors: Matrix64) {
    let n = matrix.rows
    var copy = matrix
    var basis = Matrix64.identity(n)
    let a = copy.mutableView()
    let v = basis.mutableView()
    for _ in 0..<60 {
        var off = 0.0
        for i in 0..<n {
            for j in 0..<i { off = max(off, a[i, j].magnitude) }
        }
        if off == 0 { break }
        for p in 0..<n {
            for q in (p + 1)..<max(n, p + 1) where a[p, q] != 0 {
                jacobiRotate(a, v, p, q)
            }
        }
    }
    let order = (0..<n).sorted { a[$0, $0] > a[$1, $1] }
    return (order.map { a[$0, $0] }, Matrix64(rows: n, columns: n) { v[$0, order[$1]] })
}

private func jacobiRotate(_ a: MutableMatrixView<Double>, _ v: MutableMatrixView<Double>, _ p: Int, _ q: Int) {
    if a[p, q].magnitude <= 1e-18 * (a[p, p].magnitude + a[q, q].magnitude) {
        a[p, q] = 0
        a[q, p] = 0
        return
    }
    let theta = (a[q, q] - a[p, p]) / (2 * a[p, q])
    let t = (theta < 0 ? -1 : 1) / (theta.magnitude + (1 + theta * theta).squareRoot())
    let c = 1 / (1 + t * t).squareRoot()
    let s = t * c
    for k in 0..<a.rows {
        (a[k, p], a[k, q]) = (c * a[k, p] - s * a[k, q], s * a[k, p] + c * a[k, q])
    }
    for k in 0..<a.rows {
        (a[p, k], a[q, k]) = (c * a[p, k] - s * a[q, k], s * a[p, k] + c * a[q, k])
        (v[k, p], v[k, q]) = (c * v[k, p] - s * v[k, q], s * v[k, p] + c * v[k, q])
    }
    a[p, q] = 0
    a[q, p] = 0
}
