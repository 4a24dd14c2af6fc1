import Foundation
import MatrixCore

/// Symmetric matrices with known or nasty spectra.
enum SymmetricMatrices {
    /// Q diag(values) Qᵀ with Q a product of n random reflections.
    static func withSpectrum(_ values: [Double], seed: UInt64 = 1) -> Matrix64 {
        let n = values.count
        var matrix = Matrix64(rows: n, columns: n) { $0 == $1 ? values[$0] : 0 }
        let a = matrix.mutableView()
        for reflection in 0..<min(n, 6) {
            let random = CounterRandom(seed: seed, stream: UInt64(reflection))
            let v = (0..<n).map { random.normal($0) }
            let scale = 2 / v.reduce(0) { $0 + $1 * $1 }
            for view in [a, a.transposed] {
                for j in 0..<n {
                    var sum = 0.0
                    for i in 0..<n { sum += v[i] * view[i, j] }
                    for i in 0..<n { view[i, j] -= scale * sum * v[i] }
                }
            }
        }
        for i in 0..<n {
            for j in 0..<i { a[j, i] = a[i, j] }
        }
        return matrix
    }

    static func random(_ n: Int, seed: UInt64 = 7) -> Matrix64 {
        let random = CounterRandom(seed: seed)
        return Matrix64(rows: n, columns: n) { random.normal(max($0, $1) * n + min($0, $1)) }
    }

    /// Wilkinson's W⁺ of odd order: eigenvalues in pairs that agree to working precision.
    static func wilkinson(_ n: Int) -> Matrix64 {
        Matrix64(rows: n, columns: n) { i, j in
            i == j ? Double(abs(i - n / 2)) : abs(i - j) == 1 ? 1 : 0
        }
    }

    /// Copies of W⁺ of order 21 held together by `glue`.
    static func gluedWilkinson(copies: Int, glue: Double) -> Matrix64 {
        let order = 21
        return Matrix64(rows: copies * order, columns: copies * order) { i, j in
            if i == j { return Double(abs(i % order - order / 2)) }
            guard abs(i - j) == 1 else { return 0 }
            return max(i, j) % order == 0 ? glue : 1
        }
    }

    /// Rows and columns that shrink by `ratio` each.
    static func graded(_ n: Int, ratio: Double) -> Matrix64 {
        let base = random(n)
        return Matrix64(rows: n, columns: n) { base[$0, $1] * pow(ratio, Double($0 + $1)) }
    }

    static func scaled(_ a: Matrix64, by factor: Double) -> Matrix64 {
        Matrix64(rows: a.rows, columns: a.columns) { a[$0, $1] * factor }
    }

    /// Spectra by name, each of n values.
    static func spectra(_ n: Int) -> [(name: String, values: [Double])] {
        let count = Double(max(n, 1))
        let rules: [(String, (Int) -> Double)] = [
            ("flat", { i in 1 + Double(i) / count }),
            ("power law", { i in pow(Double(i + 1), -1.5) }),
            ("geometric", { i in pow(1e-12, Double(i) / count) }),
            ("clustered", { i in i < n / 2 ? 1 + 1e-14 * Double(i) : 1e-3 }),
            ("repeated", { i in Double(i % 3) - 1 }),
            ("rank one", { i in i == 0 ? 5 : 0 }),
            ("rank deficient", { i in i < n / 3 ? Double(i + 1) : 0 }),
            ("both signs", { i in i % 2 == 0 ? Double(i + 1) : -Double(i + 1) }),
        ]
        return rules.map { name, rule in (name, (0..<n).map(rule)) }
    }
}
