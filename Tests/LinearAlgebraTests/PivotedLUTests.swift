import Foundation
import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite("Elimination with row exchanges")
struct PivotedLUTests {
    static let shapes = [
        (1, 1), (9, 1), (8, 8), (17, 9), (33, 16), (64, 64), (140, 127), (150, 128), (129, 129), (300, 260),
    ]

    /// Pivot rows in order, by elimination entry by entry.
    private func naivePivots(_ a: Matrix64) -> [Int] {
        var work = a, order = Array(0..<a.rows)
        for k in 0..<a.columns {
            var pivot = k
            for i in k..<a.rows where abs(work[order[i], k]) > abs(work[order[pivot], k]) { pivot = i }
            order.swapAt(k, pivot)
            for i in (k + 1)..<max(a.rows, k + 1) {
                let factor = work[order[i], k] / work[order[k], k]
                for j in k..<a.columns { work[order[i], j] -= factor * work[order[k], j] }
            }
        }
        return Array(order.prefix(a.columns))
    }

    private func rows(_ a: Matrix64, _ indices: some Sequence<Int>) -> Matrix64 {
        let indices = Array(indices)
        return Matrix64(rows: indices.count, columns: a.columns) { a[indices[$0], $1] }
    }

    @Test("finds the pivots of elimination entry by entry", arguments: shapes)
    func pivots(rows: Int, columns: Int) throws {
        let a = QROracle.random(rows, columns, seed: UInt64(rows + columns))
        let lu = try PivotedLU(a.view)
        #expect(lu.rank == columns)
        #expect(lu.permutation.sorted() == Array(0..<rows))
        #expect(Array(lu.permutation.prefix(columns)) == naivePivots(a))
    }

    @Test("expresses the other rows by the pivots, in both types", arguments: shapes)
    func interpolation(rows m: Int, columns r: Int) throws {
        let a = QROracle.orthonormal(m, r, seed: 5)
        func check<Element: FactorScalar>(_ a: DenseMatrix<Element>) throws {
            let lu = try PivotedLU(a.view)
            let wide = QROracle.wide(a), c = QROracle.wide(lu.interpolation())
            let found = QROracle.product(c, rows(wide, lu.permutation.prefix(r)))
            let error = QROracle.difference(found, rows(wide, lu.permutation.dropFirst(r)))
            #expect(error <= 1e3 * Element.elementType.epsilon * (1 + QROracle.norm(c)))
        }
        try check(a)
        try check(Matrix(rows: m, columns: r) { Float(a[$0, $1]) })
        // A view across the rows of its memory.
        let transposed = QROracle.transposed(a)
        #expect(try PivotedLU(transposed.view.transposed).permutation == PivotedLU(a.view).permutation)
    }

    @Test("leading columns alone have the same pivots, to the bit")
    func prefix() throws {
        let wide = QROracle.random(420, 300, seed: 9)
        let a = Matrix(rows: 420, columns: 300) { Float(wide[$0, $1]) }
        let whole = try PivotedLU(a.view).permutation
        for count in [1, 2, 7, 8, 63, 65, 127, 128, 129, 200, 255, 256, 257, 299] {
            let part = try PivotedLU(a.view.columns(0..<count)).permutation
            #expect(part.prefix(count) == whole.prefix(count))
        }
    }

    @Test("divides rows by a square matrix of any scale", arguments: [1e-30, 1, 1e30])
    func division(scale: Double) throws {
        for (k, r) in [(0, 3), (1, 1), (5, 1), (3, 8), (40, 33), (7, 130), (600, 20)] {
            let a = QROracle.random(r, r, seed: 11)
            let scaled = Matrix64(rows: r, columns: r) { a[$0, $1] * scale }
            let x = QROracle.random(k, r, seed: 12)
            var quotient = x
            try PivotedLU(scaled.view).divide(quotient.mutableView())
            let back = QROracle.product(quotient, scaled)
            #expect(QROracle.difference(back, x) <= 1e-9 * QROracle.norm(x))
        }
    }

    @Test("stops at a column that depends on those before it")
    func dependent() throws {
        let a = QROracle.matrix(rows: 30, columns: 20, singularValues: [3, 2, 1])
        #expect(try PivotedLU(a.view).rank == 3)
        let repeated = Matrix(rows: 200, columns: 140) { i, j in
            Float(cos(Double(i * min(j, 133) + i * i * (min(j, 133) % 7))))
        }
        #expect(try PivotedLU(repeated.view).rank == 134)
        #expect(try PivotedLU(Matrix64(rows: 6, columns: 3).view).rank == 0)
        #expect(try PivotedLU(Matrix64(rows: 6, columns: 0).view).permutation == Array(0..<6))
    }

    @Test("takes the first of equal entries, and refuses what has no pivots")
    func limits() throws {
        let equal = Matrix64(rows: 4, columns: 1) { i, _ in i % 2 == 0 ? -1 : 1 }
        #expect(try PivotedLU(equal.view).permutation.first == 0)
        #expect(throws: LinearAlgebraError.self) { try PivotedLU(Matrix64(rows: 2, columns: 3).view) }
        let broken = Matrix(rows: 3, columns: 2) { $0 == 1 && $1 == 1 ? .nan : 1 }
        #expect(throws: LinearAlgebraError.nonFinite(row: 1, column: 1)) { try PivotedLU(broken.view) }
    }

    @Test("the largest magnitude is found at any place", arguments: [1, 2, 7, 8, 9, 16, 31])
    func largest(count: Int) {
        for place in 0..<count {
            var x = (0..<count).map { Float($0 % 3) - 1 }
            x[place] = place % 2 == 0 ? 9 : -9
            #expect(Float.indexOfLargest(x, count) == place)
            #expect(Double.indexOfLargest(x.map(Double.init), count) == place)
        }
        #expect(Float.indexOfLargest([Float](repeating: 0, count: count), count) == 0)
        #expect(Float.indexOfLargest([], 0) == 0)
    }

    @Test("the largest magnitude of a matrix is one number, and NaN wins", arguments: [1, 7, 8, 9, 24, 27])
    func largestOfMatrix(columns: Int) {
        for place in 0..<(3 * columns) {
            var a = Matrix(rows: 3, columns: columns) { i, j in Float((i + j) % 3) - 1 }
            for value in [Float(-9), 9, .nan, -.infinity] {
                a[place / columns, place % columns] = value
                for view in [a.view, a.view.transposed] {
                    let found = Float.largestMagnitude(view)
                    #expect(value.isNaN ? found.isNaN : found == Double(abs(value)))
                }
            }
        }
        #expect(Float.largestMagnitude(Matrix(rows: 0, columns: columns).view) == 0)
    }
}
