import Foundation
import Kernels
import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite("Column pivoting by a sketch")
struct SketchedPivotTests {
    static func options<Element>(
        block: Int, rank: Int? = nil, _: Element.Type
    ) -> PivotedQR<Element>.SketchOptions {
        var options = PivotedQR<Element>.SketchOptions(maximumRank: rank)
        options.blockSize = block
        return options
    }

    func permuted(_ a: Matrix64, _ permutation: [Int]) -> Matrix64 {
        Matrix64(rows: a.rows, columns: a.columns) { a[$0, permutation[$1]] }
    }

    func check<Element: FactorScalar>(_ a: DenseMatrix<Element>, block: Int, rank: Int? = nil) throws {
        let qr = try PivotedQR(sketching: a.view, options: Self.options(block: block, Element.self))
        let wide = QROracle.wide(a)
        let unit = Tolerance.rounding(
            Element.elementType, size: max(a.rows, a.columns),
            norm: Double(max(min(a.rows, a.columns), 1)).squareRoot())
        let q = QROracle.wide(qr.thinQ())
        let r = QROracle.wide(qr.r)
        #expect(qr.permutation.sorted() == Array(0..<a.columns))
        if let rank { #expect(qr.rank == rank) }
        #expect(QROracle.orthogonalityError(q) <= unit)
        let whole = permuted(wide, qr.permutation)
        #expect(QROracle.difference(QROracle.product(q, r), whole) <= 4 * unit * QROracle.norm(wide))
    }

    @Test("reproduces the permuted matrix", arguments: [1, 5, 16, 64])
    func identities(block: Int) throws {
        for (rows, columns) in [(0, 0), (0, 3), (3, 0), (1, 1), (1, 6), (6, 1), (5, 9), (20, 20), (40, 31), (31, 64)] {
            let a = QROracle.random(rows, columns, seed: UInt64(rows * 100 + columns))
            try check(a, block: block, rank: min(rows, columns))
            try check(Matrix(rows: rows, columns: columns) { Float(a[$0, $1]) }, block: block)
        }
    }

    @Test("finds the rank of deficient matrices at any scale", arguments: [1e-30, 1, 1e30])
    func rank(scale: Double) throws {
        for block in [1, 4, 16] {
            let deficient = QROracle.matrix(rows: 30, columns: 24, singularValues: [5, 4, 3, 2, 1].map { $0 * scale })
            try check(deficient, block: block, rank: 5)
            try check(Matrix64(rows: 12, columns: 9), block: block, rank: 0)
            try check(Matrix64(rows: 12, columns: 9) { i, _ in scale * Double(i + 1) }, block: block, rank: 1)
        }
    }

    @Test("reveals the spectrum about as well as exact norms do", arguments: [1e3, 1e8])
    func quality(condition: Double) throws {
        let values = QROracle.graded(count: 48, condition: condition)
        let a = QROracle.matrix(rows: 60, columns: 48, singularValues: values)
        let exact = try PivotedQR(a.view)
        let sketched = try PivotedQR(sketching: a.view, options: Self.options(block: 8, Double.self))
        for i in 0..<48 {
            let ratio = abs(sketched.r[i, i]) / abs(exact.r[i, i])
            #expect(ratio > 0.1 && ratio < 10)
        }
    }

    @Test("stops at the rank asked for and knows what is left")
    func earlyStop() throws {
        let a = QROracle.random(30, 25)
        for rank in [0, 1, 7, 8, 9, 25, 40] {
            let qr = try PivotedQR(sketching: a.view, options: Self.options(block: 4, rank: rank, Double.self))
            #expect(qr.rank == min(rank, 25))
            let left = QROracle.difference(permuted(a, qr.permutation), QROracle.product(qr.thinQ(), qr.r))
            #expect(abs(left - qr.residualNorm) <= 1e-12 * QROracle.norm(a))
        }
    }

    @Test("what is left of a deficient matrix is rounding noise, and is reported as such")
    func residual() throws {
        let a = QROracle.matrix(rows: 30, columns: 24, singularValues: [5, 4, 3, 2, 1])
        let qr = try PivotedQR(sketching: a.view, options: Self.options(block: 16, Double.self))
        let left = QROracle.difference(permuted(a, qr.permutation), QROracle.product(qr.thinQ(), qr.r))
        #expect(left < 1e-13 && qr.residualNorm < 1e-13)
    }

    @Test("the same bytes on any number of threads, the same pivots for the same seed")
    func determinism() throws {
        let a = QROracle.random(50, 70)
        let before = Threads.count
        defer { Threads.count = before }
        var results: [PivotedQR<Double>] = []
        for threads in 1...3 {
            Threads.count = threads
            results.append(try PivotedQR(sketching: a.view, options: Self.options(block: 8, Double.self)))
        }
        #expect(results.allSatisfy { $0.r == results[0].r && $0.permutation == results[0].permutation })
    }

    @Test("names the first number that is not finite")
    func nonFinite() {
        var a = QROracle.random(6, 5)
        a[2, 3] = .nan
        #expect(throws: LinearAlgebraError.nonFinite(row: 2, column: 3)) { try PivotedQR(sketching: a.view) }
    }
}
