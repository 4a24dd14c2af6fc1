import MatrixCore

/// The naive oracle: one-sided Jacobi in Float64, cyclic, to working precision. A (m × n), any shape.
struct JacobiOracle {
    let singularValues: [Double]  // min(m, n), descending

    init(_ a: Matrix64) {
        let upright = a.rows >= a.columns ? a : Matrix64(a.view.transposed)
        let m = upright.rows, n = upright.columns
        var columns = (0..<n).map { j in (0..<m).map { upright[$0, j] } }
        for _ in 0..<60 {
            var rotated = false
            for p in 0..<n {
                for q in (p + 1)..<max(n, p + 1) where Self.orthogonalise(&columns, p, q) { rotated = true }
            }
            if !rotated { break }
        }
        singularValues = columns.map { $0.reduce(0) { $0 + $1 * $1 }.squareRoot() }.sorted(by: >)
    }

    private static func orthogonalise(_ columns: inout [[Double]], _ p: Int, _ q: Int) -> Bool {
        let x = columns[p], y = columns[q]
        var alpha = 0.0, beta = 0.0, gamma = 0.0
        for i in x.indices {
            alpha += x[i] * x[i]
            beta += y[i] * y[i]
            gamma += x[i] * y[i]
        }
        guard gamma.magnitude > 1e-15 * (alpha * beta).squareRoot(), gamma != 0 else { return false }
        let zeta = (beta - alpha) / (2 * gamma)
        let t = (zeta < 0 ? -1.0 : 1.0) / (zeta.magnitude + (1 + zeta * zeta).squareRoot())
        let c = 1 / (1 + t * t).squareRoot(), s = c * t
        for i in x.indices {
            columns[p][i] = c * x[i] - s * y[i]
            columns[q][i] = s * x[i] + c * y[i]
        }
        return true
    }
}

/// A matrix with the given singular values and random singular vectors (m × n).
func matrix(rows: Int, columns: Int, spectrum: [Double], seed: UInt64 = 1) -> Matrix64 {
    let left = randomOrthonormal(rows, spectrum.count, seed: seed)
    let right = randomOrthonormal(columns, spectrum.count, seed: seed + 1)
    return Matrix64(rows: rows, columns: columns) { i, j in
        spectrum.indices.reduce(0) { $0 + left[i, $1] * spectrum[$1] * right[j, $1] }
    }
}

/// Orthonormal columns by Gram–Schmidt, twice, on normal numbers.
func randomOrthonormal(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix64 {
    let random: Matrix64 = CounterRandom(seed: seed).normalMatrix(rows: rows, columns: columns)
    var result = random
    for j in 0..<columns {
        for _ in 0..<2 {
            for p in 0..<j {
                let dot = (0..<rows).reduce(0) { $0 + result[$1, p] * result[$1, j] }
                for i in 0..<rows { result[i, j] -= dot * result[i, p] }
            }
        }
        let length = (0..<rows).reduce(0) { $0 + result[$1, j] * result[$1, j] }.squareRoot()
        for i in 0..<rows { result[i, j] /= length }
    }
    return result
}

/// ‖QᵀQ − I‖_max.
func departureFromOrthonormal(_ q: Matrix64) -> Double {
    var worst = 0.0
    for a in 0..<q.columns {
        for b in a..<q.columns {
            let dot = (0..<q.rows).reduce(0) { $0 + q[$1, a] * q[$1, b] }
            worst = max(worst, (dot - (a == b ? 1 : 0)).magnitude)
        }
    }
    return worst
}

extension Matrix64 {
    init(_ matrix: Matrix) {
        self.init(rows: matrix.rows, columns: matrix.columns) { Double(matrix[$0, $1]) }
    }
}
