import Foundation
import Kernels
import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite("Column-pivoted QR")
struct PivotedQRTests {
    static func options<Element>(block: Int, rank: Int? = nil, _: Element.Type) -> PivotedQR<Element>.Options {
        var options = PivotedQR<Element>.Options(maximumRank: rank)
        options.blockSize = block
        return options
    }

    func permuted(_ a: Matrix64, _ permutation: [Int]) -> Matrix64 {
        Matrix64(rows: a.rows, columns: a.columns) { a[$0, permutation[$1]] }
    }

    /// Pivoting one column at a time with norms computed afresh at every step.
    func naivePermutation(_ a: Matrix64) -> [Int] {
        var work = a
        var order = Array(0..<a.columns)
        for step in 0..<min(a.rows, a.columns) {
            func norm(_ j: Int) -> Double { (0..<a.rows).reduce(0) { $0 + work[$1, j] * work[$1, j] } }
            let pivot = (step..<a.columns).max { norm($0) < norm($1) } ?? step
            order.swapAt(step, pivot)
            for i in 0..<a.rows { (work[i, step], work[i, pivot]) = (work[i, pivot], work[i, step]) }
            let length = norm(step).squareRoot()
            guard length > 0 else { break }
            let unit = (0..<a.rows).map { work[$0, step] / length }
            for j in (step + 1)..<max(a.columns, step + 1) {
                for _ in 0..<2 {
                    let overlap = (0..<a.rows).reduce(0.0) { $0 + unit[$1] * work[$1, j] }
                    for i in 0..<a.rows { work[i, j] -= overlap * unit[i] }
                }
            }
        }
        return order
    }

    func check<Element: FactorScalar>(_ a: DenseMatrix<Element>, block: Int, rank: Int? = nil) throws {
        let qr = try PivotedQR(a.view, options: Self.options(block: block, Element.self))
        let wide = QROracle.wide(a)
        let unit = Tolerance.rounding(
            Element.elementType, size: max(a.rows, a.columns), norm: Double(max(min(a.rows, a.columns), 1)).squareRoot()
        )
        let q = QROracle.wide(qr.thinQ())
        let r = QROracle.wide(qr.r)
        #expect(qr.permutation.sorted() == Array(0..<a.columns))
        if let rank { #expect(qr.rank == rank) }
        #expect(QROracle.orthogonalityError(q) <= unit)
        let whole = permuted(wide, qr.permutation)
        #expect(QROracle.difference(QROracle.product(q, r), whole) <= unit * QROracle.norm(wide))
        for i in 0..<qr.rank {
            let diagonal = abs(r[i, i])
            for j in (i + 1)..<max(a.columns, i + 1) {
                let below = (i...min(j, qr.rank - 1)).reduce(0) { $0 + r[$1, j] * r[$1, j] }.squareRoot()
                #expect(below <= diagonal * (1 + 1e-3 * Element.elementType.epsilon.squareRoot()) + unit * 1e-3)
            }
            for j in 0..<i { #expect(r[i, j] == 0) }
        }
    }

    @Test("reproduces the permuted matrix with decreasing norms", arguments: [1, 4, 32])
    func identities(block: Int) throws {
        let shapes = [
            (0, 0), (0, 3), (3, 0), (1, 1), (1, 6), (6, 1), (4, 4), (5, 9), (9, 5), (20, 20), (33, 12), (12, 33),
            (40, 31), (31, 64),
        ]
        for (rows, columns) in shapes {
            let a = QROracle.random(rows, columns, seed: UInt64(rows * 100 + columns))
            try check(a, block: block, rank: min(rows, columns))
            try check(Matrix(rows: rows, columns: columns) { Float(a[$0, $1]) }, block: block, rank: min(rows, columns))
        }
    }

    @Test("finds the rank of deficient matrices at any scale", arguments: [1e-30, 1, 1e30])
    func rank(scale: Double) throws {
        for block in [1, 3, 32] {
            let deficient = QROracle.matrix(rows: 30, columns: 24, singularValues: [5, 4, 3, 2, 1].map { $0 * scale })
            try check(deficient, block: block, rank: 5)
            try check(Matrix(rows: 30, columns: 24) { Float(deficient[$0, $1]) }, block: block, rank: nil)
            try check(Matrix64(rows: 12, columns: 9), block: block, rank: 0)
            try check(Matrix64(rows: 12, columns: 9) { i, _ in scale * Double(i + 1) }, block: block, rank: 1)
            var zeroColumns = QROracle.random(14, 10)
            for i in 0..<14 {
                for j in 0..<10 { zeroColumns[i, j] = j % 3 == 0 ? 0 : zeroColumns[i, j] * scale }
            }
            try check(zeroColumns, block: block, rank: 6)
        }
    }

    @Test("takes the pivots that norms computed afresh would take", arguments: [1, 5, 32])
    func pivots(block: Int) throws {
        for (rows, columns) in [(30, 20), (20, 30), (25, 25)] {
            let a = QROracle.matrix(
                rows: rows, columns: columns,
                singularValues: QROracle.graded(count: min(rows, columns), condition: 1e6))
            let qr = try PivotedQR(a.view, options: Self.options(block: block, Double.self))
            let expected = naivePermutation(a)
            #expect(Array(qr.permutation[..<15]) == Array(expected[..<15]))
        }
    }

    @Test("downdated norms survive a column that cancels almost wholly")
    func cancellation() throws {
        // Columns 1… are copies of column 0 plus parts 1e-9 as large: one downdate loses every digit of their norms.
        let base = QROracle.random(20, 1)
        let parts = QROracle.random(20, 12, seed: 8)
        let a = Matrix64(rows: 20, columns: 12) { base[$0, 0] * (1 + 1e-3 * Double(11 - $1)) + 1e-9 * parts[$0, $1] }
        for block in [1, 4, 32] {
            try check(a, block: block, rank: 12)
            let qr = try PivotedQR(a.view, options: Self.options(block: block, Double.self))
            #expect(qr.permutation == naivePermutation(a))
        }
    }

    @Test("Kahan's matrix keeps its order and shows its diagonal")
    func kahan() throws {
        // The diagonal is shrunk by a little per column, so that rounding does not decide between equal norms.
        let kahan = QROracle.kahan(30)
        let a = Matrix64(rows: 30, columns: 30) { kahan[$0, $1] * (1 - 1e-10 * Double($1)) }
        try check(a, block: 8, rank: 30)
        let qr = try PivotedQR(a.view, options: Self.options(block: 8, Double.self))
        #expect(qr.permutation == Array(0..<30))
        for i in 0..<30 { #expect(abs(abs(qr.r[i, i]) - a[i, i]) <= 1e-13) }
    }

    @Test("stops at the rank asked for and knows what is left")
    func earlyStop() throws {
        let a = QROracle.random(30, 25)
        for rank in [0, 1, 7, 8, 9, 25, 40] {
            let qr = try PivotedQR(a.view, options: Self.options(block: 4, rank: rank, Double.self))
            #expect(qr.rank == min(rank, 25))
            let rebuilt = QROracle.product(qr.thinQ(), qr.r)
            let left = QROracle.difference(permuted(a, qr.permutation), rebuilt)
            #expect(abs(left - qr.residualNorm) <= 1e-10 * QROracle.norm(a))
        }
    }

    @Test("applies its Q, reads transposed views, and gives the same bytes on any number of threads")
    func application() throws {
        let a = QROracle.random(50, 40)
        let before = Threads.count
        defer { Threads.count = before }
        var results: [PivotedQR<Double>] = []
        for threads in 1...3 {
            Threads.count = threads
            results.append(try PivotedQR(QROracle.transposed(a).view.transposed))
        }
        #expect(results.allSatisfy { $0.r == results[0].r && $0.permutation == results[0].permutation })
        var c = permuted(a, results[0].permutation)
        results[0].applyQTransposed(to: c.mutableView())
        #expect(QROracle.difference(Matrix64(c.view.rows(0..<40)), results[0].r) < 1e-12)
        results[0].applyQ(to: c.mutableView())
        #expect(QROracle.difference(c, permuted(a, results[0].permutation)) < 1e-12)
    }

    @Test("names the first number that is not finite")
    func nonFinite() {
        var a = QROracle.random(6, 5)
        a[2, 3] = -.infinity
        #expect(throws: LinearAlgebraError.nonFinite(row: 2, column: 3)) { try PivotedQR(a.view) }
    }
}
