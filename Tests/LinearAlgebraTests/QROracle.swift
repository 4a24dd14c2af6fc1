import Foundation
import LinearAlgebra
import MatrixCore

/// Naive linear algebra in Double and matrices with known properties, for judging the factorisations.
enum QROracle {
    static func product(_ a: Matrix64, _ b: Matrix64) -> Matrix64 {
        precondition(a.columns == b.rows)
        return Matrix64(rows: a.rows, columns: b.columns) { i, j in
            (0..<a.columns).reduce(0) { $0 + a[i, $1] * b[$1, j] }
        }
    }

    static func transposed(_ a: Matrix64) -> Matrix64 { Matrix64(a.view.transposed) }

    static func wide<Element: FactorScalar>(_ a: DenseMatrix<Element>) -> Matrix64 {
        Matrix64(rows: a.rows, columns: a.columns) { Double(a[$0, $1]) }
    }

    static func norm(_ a: Matrix64) -> Double {
        let largest = a.elements.map(abs).max() ?? 0
        guard largest > 0, largest.isFinite else { return largest }
        return largest * a.elements.reduce(0) { $0 + ($1 / largest) * ($1 / largest) }.squareRoot()
    }

    static func difference(_ a: Matrix64, _ b: Matrix64) -> Double {
        precondition(a.rows == b.rows && a.columns == b.columns)
        return norm(Matrix64(rows: a.rows, columns: a.columns) { a[$0, $1] - b[$0, $1] })
    }

    /// ‖QᵀQ − I‖.
    static func orthogonalityError(_ q: Matrix64) -> Double {
        difference(product(transposed(q), q), .identity(q.columns))
    }

    static func random(_ rows: Int, _ columns: Int, seed: UInt64 = 1) -> Matrix64 {
        CounterRandom(seed: seed).normalMatrix(rows: rows, columns: columns)
    }

    /// Orthonormal columns (rows ≥ columns) by Gram and Schmidt, done twice.
    static func orthonormal(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix64 {
        var q = random(rows, columns, seed: seed)
        for j in 0..<columns {
            for _ in 0..<2 {
                for p in 0..<j {
                    let overlap = (0..<rows).reduce(0.0) { $0 + q[$1, p] * q[$1, j] }
                    for i in 0..<rows { q[i, j] -= overlap * q[i, p] }
                }
            }
            let length = (0..<rows).reduce(0.0) { $0 + q[$1, j] * q[$1, j] }.squareRoot()
            for i in 0..<rows { q[i, j] /= length }
        }
        return q
    }

    /// U diag(σ) Vᵀ of shape (rows × columns).
    static func matrix(rows: Int, columns: Int, singularValues: [Double], seed: UInt64 = 3) -> Matrix64 {
        let u = orthonormal(rows, singularValues.count, seed: seed)
        let v = orthonormal(columns, singularValues.count, seed: seed + 1)
        let scaled = Matrix64(rows: rows, columns: singularValues.count) { u[$0, $1] * singularValues[$1] }
        return product(scaled, transposed(v))
    }

    /// Singular values falling evenly on a log scale from 1 to 1/condition.
    static func graded(count: Int, condition: Double) -> [Double] {
        (0..<count).map { pow(10, -log10(condition) * Double($0) / Double(max(count - 1, 1))) }
    }

    /// Kahan's matrix: upper triangular, each row scaled by sine^i, −cosine above the diagonal.
    static func kahan(_ size: Int, angle: Double = 1.2) -> Matrix64 {
        let sine = sin(angle)
        let cosine = cos(angle)
        return Matrix64(rows: size, columns: size) { i, j in
            let scale = (0..<i).reduce(1.0) { product, _ in product * sine }
            return i == j ? scale : (j > i ? -cosine * scale : 0)
        }
    }
}
