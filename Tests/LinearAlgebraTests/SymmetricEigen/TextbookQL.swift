import Foundation
import MatrixCore

@testable import LinearAlgebra

/// The implicit QL iteration as in the textbooks: a tridiagonal solver that shares nothing with the library's.
struct TextbookQL: TridiagonalSolver {
    func decompose(
        diagonal: [Double], offDiagonal: [Double], choosing: ([Double]) throws -> Range<Int>
    ) throws -> (values: [Double], vectors: Matrix64) {
        let n = diagonal.count
        var d = diagonal
        var e = offDiagonal + [0]
        var basis = Matrix64.identity(n)  // rows are vectors
        let z = basis.mutableView()
        for l in 0..<n {
            while let m = (l..<n).first(where: { isNegligible($0, d, e) }), m > l {
                var g = (d[l + 1] - d[l]) / (2 * e[l])
                g = d[m] - d[l] + e[l] / (g + (g < 0 ? -1 : 1) * (g * g + 1).squareRoot())
                var (s, c, p) = (1.0, 1.0, 0.0)
                for i in (l..<m).reversed() {
                    let (f, b) = (s * e[i], c * e[i])
                    let r = hypot(f, g)
                    e[i + 1] = r
                    (s, c) = r == 0 ? (0, 1) : (f / r, g / r)
                    g = d[i + 1] - p
                    let t = (d[i] - g) * s + 2 * c * b
                    p = s * t
                    d[i + 1] = g + p
                    g = c * t - b
                    for k in 0..<n {
                        (z[i, k], z[i + 1, k]) = (c * z[i, k] - s * z[i + 1, k], s * z[i, k] + c * z[i + 1, k])
                    }
                }
                d[l] -= p
                e[l] = g
                e[m] = 0
            }
        }
        let order = (0..<n).sorted { d[$0] < d[$1] }
        let values = order.map { d[$0] }
        let range = try choosing(values)
        return (values, Matrix64(rows: n, columns: range.count) { z[order[range.lowerBound + $1], $0] })
    }

    private func isNegligible(_ i: Int, _ d: [Double], _ e: [Double]) -> Bool {
        i == d.count - 1 || e[i].magnitude <= 1e-16 * (d[i].magnitude + d[i + 1].magnitude) + 1e-290
    }
}
