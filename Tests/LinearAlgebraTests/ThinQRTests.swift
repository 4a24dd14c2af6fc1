import Kernels
import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite("Thin QR of tall matrices")
struct ThinQRTests {
    func check<Element: FactorScalar>(
        _ a: DenseMatrix<Element>, _ route: ThinQR<Element>.Route, expected: ThinQR<Element>.Route, blockRows: Int = 16
    ) throws {
        var options = ThinQR<Element>.Options(route: route)
        options.blockRows = blockRows
        let qr = try ThinQR(a.view, options: options)
        #expect(qr.route == expected)
        let wide = QROracle.wide(a)
        let q = QROracle.wide(qr.q)
        let r = QROracle.wide(qr.r)
        let unit = Tolerance.rounding(
            Element.elementType, size: a.rows, norm: Double(max(a.columns, 1)).squareRoot())
        #expect(QROracle.orthogonalityError(q) <= unit)
        #expect(QROracle.difference(QROracle.product(q, r), wide) <= unit * QROracle.norm(wide))
        for i in 0..<r.rows {
            for j in 0..<i { #expect(r[i, j] == 0) }
        }
    }

    @Test("all routes, shapes around the block of rows")
    func identities() throws {
        for (rows, columns) in [(1, 1), (7, 1), (16, 3), (17, 3), (33, 8), (64, 8), (200, 5), (90, 20), (8, 8)] {
            let a = QROracle.random(rows, columns)
            let narrow = Matrix(rows: rows, columns: columns) { Float(a[$0, $1]) }
            let tall: ThinQR<Double>.Route = rows > max(16, 2 * columns) ? .tallSkinny : .householder
            try check(a, .tallSkinny, expected: tall)
            try check(narrow, .tallSkinny, expected: tall == .tallSkinny ? .tallSkinny : .householder)
            try check(a, .householder, expected: .householder)
            try check(a, .automatic, expected: .choleskyQR2)
            try check(narrow, .choleskyQR2, expected: .choleskyQR2)
        }
        try check(Matrix64(rows: 5, columns: 0), .automatic, expected: .choleskyQR2)
    }

    @Test("CholeskyQR2 steps aside where the condition is too high", arguments: [1e9, 1e12, 1e17])
    func fallback(condition: Double) throws {
        let a = QROracle.matrix(
            rows: 120, columns: 12, singularValues: QROracle.graded(count: 12, condition: condition))
        try check(a, .automatic, expected: .tallSkinny)
        try check(Matrix(rows: 120, columns: 12) { Float(a[$0, $1]) }, .choleskyQR2, expected: .tallSkinny)
    }

    @Test("CholeskyQR2 serves a condition of 1e6 and says how far the first round was off")
    func moderate() throws {
        let a = QROracle.matrix(rows: 100, columns: 10, singularValues: QROracle.graded(count: 10, condition: 1e6))
        try check(a, .automatic, expected: .choleskyQR2)
        let deviation = try #require(try ThinQR(a.view).deviation)
        #expect(deviation > 1e-12 && deviation < 0.1)
    }

    @Test("zero columns, duplicates, rank 1 and scales 1e±30")
    func degenerate() throws {
        try check(Matrix64(rows: 40, columns: 4), .automatic, expected: .tallSkinny)
        try check(Matrix64(rows: 40, columns: 4) { i, _ in Double(i % 5) }, .automatic, expected: .tallSkinny)
        let a = QROracle.random(40, 4)
        for scale in [1e-30, 1e30] {
            try check(Matrix(rows: 40, columns: 4) { Float(a[$0, $1] * scale) }, .automatic, expected: .choleskyQR2)
            try check(Matrix64(rows: 40, columns: 4) { a[$0, $1] * scale }, .tallSkinny, expected: .tallSkinny)
        }
    }

    @Test("wide and non-finite matrices are refused")
    func refusals() {
        #expect(throws: LinearAlgebraError.shapeMismatch(rows: 2, columns: 3, expected: "at least as tall as wide")) {
            try ThinQR(Matrix64(rows: 2, columns: 3).view)
        }
        var a = QROracle.random(6, 2)
        a[4, 1] = .nan
        #expect(throws: LinearAlgebraError.nonFinite(row: 4, column: 1)) { try ThinQR(a.view) }
    }

    @Test("the same bytes on any number of threads", arguments: [ThinQR<Double>.Route.choleskyQR2, .tallSkinny])
    func determinism(route: ThinQR<Double>.Route) throws {
        let a = QROracle.random(150, 12)
        let before = Threads.count
        defer { Threads.count = before }
        var results: [ThinQR<Double>] = []
        for threads in 1...3 {
            Threads.count = threads
            var options = ThinQR<Double>.Options(route: route)
            options.blockRows = 30
            results.append(try ThinQR(a.view, options: options))
        }
        #expect(results.allSatisfy { $0.q == results[0].q && $0.r == results[0].r })
    }
}
