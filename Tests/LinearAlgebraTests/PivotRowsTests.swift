import Foundation
import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite("Pivot rows")
struct PivotRowsTests {
    func rows(_ a: Matrix64, _ indices: [Int]) -> Matrix64 {
        Matrix64(rows: indices.count, columns: a.columns) { a[indices[$0], $1] }
    }

    /// Checks everything a result says about itself.
    func check<Element: FactorScalar>(_ result: PivotRows<Element>, of a: DenseMatrix<Element>, tolerance: Double = 1e3)
    {
        let wide = QROracle.wide(a)
        let c = QROracle.wide(result.interpolation)
        #expect((result.pivots + result.rest).sorted() == Array(0..<a.rows))
        #expect(result.pivots == result.pivots.sorted() && result.rest == result.rest.sorted())
        let error = QROracle.difference(QROracle.product(c, rows(wide, result.pivots)), rows(wide, result.rest))
        #expect(error <= tolerance * Element.elementType.epsilon * QROracle.norm(wide))
        #expect(result.largestEntry == (c.elements.map(abs).max() ?? 0))
        let frobenius = QROracle.norm(c)
        #expect(result.spectralNorm <= frobenius * (1 + 1e-6) + 1e-300)
        let rank = Double(max(min(c.rows, c.columns), 1))
        #expect(result.spectralNorm >= 0.9 * frobenius / rank.squareRoot())
    }

    @Test("express the other rows exactly, in both types")
    func interpolation() throws {
        for (m, r) in [(1, 1), (5, 1), (8, 8), (20, 6), (60, 33), (40, 32), (33, 31)] {
            let a = QROracle.random(m, r, seed: UInt64(m))
            check(try PivotRows(of: a.view, count: r), of: a)
            var elimination = PivotRows<Double>.Options()
            elimination.search = .elimination
            check(try PivotRows(of: a.view, count: r, options: elimination), of: a)
            let narrow = Matrix(rows: m, columns: r) { Float(a[$0, $1]) }
            check(try PivotRows(of: narrow.view, count: r), of: narrow)
        }
    }

    @Test("swaps bring every coefficient under the bound", arguments: [1.0, 1.05, 2])
    func swaps(bound: Double) throws {
        let a = QROracle.random(50, 20)
        let plain = try PivotRows(of: a.view, count: 20)
        let swapped = try PivotRows(of: a.view, count: 20, options: .init(largestEntryBound: bound))
        #expect(swapped.largestEntry <= bound * (1 + 1e-12))
        #expect(swapped.swaps > 0 || plain.largestEntry <= bound)
        check(swapped, of: a)
    }

    @Test("a bad start is repaired: Kahan's matrix hides its small direction from pivoting")
    func kahan() throws {
        let kahan = QROracle.kahan(40, angle: 1.0)
        // Rows are Kahan's columns, shrunk so that pivoting keeps their order; then one more row that needs the last.
        let a = Matrix64(rows: 41, columns: 40) { i, j in
            i < 40 ? kahan[j, i] * (1 - 1e-9 * Double(i)) : (j == 39 ? kahan[39, 39] * 0.9 : 0)
        }
        let plain = try PivotRows(of: a.view, count: 40)
        #expect(plain.largestEntry > 100)
        let swapped = try PivotRows(of: a.view, count: 40, options: .init(largestEntryBound: 1.5))
        #expect(swapped.swaps > 0 && swapped.largestEntry <= 1.5)
        check(swapped, of: a, tolerance: 1e4)
    }

    @Test("a swap limit is respected and the bound it missed is reported")
    func limit() throws {
        let a = QROracle.random(60, 25, seed: 12)
        var options = PivotRows<Double>.Options(largestEntryBound: 1)
        options.swapLimit = 1
        let result = try PivotRows(of: a.view, count: 25, options: options)
        #expect(result.swaps == 1)
        check(result, of: a)
    }

    @Test("rank-deficient factors, duplicates and zero rows still give `count` rows")
    func deficient() throws {
        let a = QROracle.matrix(rows: 20, columns: 8, singularValues: [3, 2, 1])
        var options = PivotRows<Double>.Options()
        for search in [PivotRows<Double>.Search.norms, .elimination] {
            options.search = search
            let result = try PivotRows(of: a.view, count: 8, options: options)
            #expect(result.rank == 3 && result.pivots.count == 8)
            check(result, of: a)
        }
        let zero = Matrix64(rows: 6, columns: 3)
        let none = try PivotRows(of: zero.view, count: 3)
        #expect(none.rank == 0 && none.largestEntry == 0)
        let duplicate = Matrix64(rows: 9, columns: 3) { i, j in i % 3 == j ? 2 : 0 }
        let twice = try PivotRows(of: duplicate.view, count: 3)
        #expect(twice.largestEntry == 1)
        check(twice, of: duplicate)
    }

    /// Entries of the inverse of a pivot block grow with elimination as with norms, a modest factor apart.
    @Test("elimination chooses rows about as well as norms do, from orthonormal columns")
    func elimination() throws {
        for seed in [UInt64(1), 2, 3] {
            let a = QROracle.orthonormal(90, 50, seed: seed)
            var options = PivotRows<Double>.Options()
            options.search = .elimination
            let eliminated = try PivotRows(of: a.view, count: 50, options: options)
            let normed = try PivotRows(of: a.view, count: 50)
            check(eliminated, of: a)
            #expect(
                QROracle.norm(eliminated.interpolation) <= 2 * QROracle.norm(normed.interpolation)
                    && eliminated.largestEntry < 20)
        }
    }

    @Test("selectRows names the same rows, and refuses more than there are")
    func selection() throws {
        let a = QROracle.random(30, 10)
        #expect(try PivotRows.selectRows(of: a.view, count: 10) == PivotRows(of: a.view, count: 10).pivots)
        #expect(try PivotRows.selectRows(of: a.view, count: 0) == [])
        #expect(try PivotRows.selectRows(of: Matrix64(rows: 4, columns: 2).view, count: 3).count == 3)
        #expect(throws: LinearAlgebraError.self) { try PivotRows.selectRows(of: a.view, count: 31) }
    }
}
