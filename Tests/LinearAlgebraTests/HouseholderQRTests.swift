import Foundation
import Kernels
import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite("Householder QR")
struct HouseholderQRTests {
    static let shapes: [(Int, Int)] = [
        (0, 0), (0, 3), (3, 0), (1, 1), (1, 5), (5, 1), (7, 7), (8, 8), (9, 8), (15, 17), (16, 16), (17, 16), (40, 13),
        (13, 40),
        (37, 37), (64, 33), (100, 31),
    ]

    /// Every path on small matrices: one by one, and blocks whose edges fall everywhere.
    static func options<Element>(_ variant: Int, _: Element.Type) -> HouseholderQR<Element>.Options {
        var options = HouseholderQR<Element>.Options()
        switch variant {
        case 0: options.method = .unblocked
        case 1:
            options.method = .blocked
            options.blockSize = 8
            options.leafWidth = 2
        case 2:
            options.method = .blocked
            options.blockSize = 16
            options.leafWidth = 5
        default:
            options.method = .blocked
        }
        return options
    }

    func check<Element: FactorScalar>(_ a: DenseMatrix<Element>, variant: Int) throws {
        let qr = try HouseholderQR(a.view, options: Self.options(variant, Element.self))
        let wide = QROracle.wide(a)
        let q = QROracle.wide(qr.thinQ())
        let r = QROracle.wide(qr.r)
        let size = max(a.rows, a.columns)
        let unit = Tolerance.rounding(Element.elementType, size: size, norm: Double(max(qr.size, 1)).squareRoot())
        #expect(q.rows == a.rows && q.columns == qr.size && r.rows == qr.size && r.columns == a.columns)
        #expect(QROracle.orthogonalityError(q) <= unit)
        #expect(QROracle.difference(QROracle.product(q, r), wide) <= unit * QROracle.norm(wide))
        for i in 0..<r.rows {
            for j in 0..<min(i, r.columns) { #expect(r[i, j] == 0) }
        }
    }

    @Test("reproduces the matrix with orthonormal columns, all shapes and paths", arguments: 0..<4)
    func identities(variant: Int) throws {
        for (rows, columns) in Self.shapes {
            let a = QROracle.random(rows, columns, seed: UInt64(rows * 100 + columns))
            try check(a, variant: variant)
            try check(Matrix(rows: rows, columns: columns) { Float(a[$0, $1]) }, variant: variant)
        }
    }

    @Test("stays orthogonal at condition 1e12 and on deficient matrices", arguments: 0..<3)
    func illConditioned(variant: Int) throws {
        try check(
            QROracle.matrix(rows: 40, columns: 25, singularValues: QROracle.graded(count: 25, condition: 1e12)),
            variant: variant)
        try check(QROracle.matrix(rows: 30, columns: 20, singularValues: [3, 2, 1]), variant: variant)
        try check(Matrix64(rows: 20, columns: 12), variant: variant)
        try check(Matrix64(rows: 20, columns: 12) { i, _ in Double(i) }, variant: variant)
        var zeroColumns = QROracle.random(25, 18)
        for i in 0..<25 { (zeroColumns[i, 0], zeroColumns[i, 7], zeroColumns[i, 17]) = (0, 0, 0) }
        try check(zeroColumns, variant: variant)
    }

    @Test("works at any scale that can be stored", arguments: [1e-30, 1e30])
    func scales(scale: Double) throws {
        let a = QROracle.random(30, 20)
        try check(Matrix64(rows: 30, columns: 20) { a[$0, $1] * scale }, variant: 1)
        try check(Matrix(rows: 30, columns: 20) { Float(a[$0, $1] * scale) }, variant: 1)
        try check(
            Matrix64(rows: 30, columns: 20) { a[$0, $1] * scale.significand * (scale < 1 ? 1e-290 : 1e290) }, variant: 0
        )
    }

    @Test("columns of very different size keep their own relative accuracy")
    func gradedColumns() throws {
        let a = QROracle.random(30, 12)
        let graded = Matrix64(rows: 30, columns: 12) { a[$0, $1] * pow(10, -10 * Double($1)) }
        let qr = try HouseholderQR(graded.view, options: Self.options(1, Double.self))
        let product = QROracle.product(qr.thinQ(), qr.r)
        for j in 0..<12 {
            let column = Matrix64(graded.view.columns(j..<(j + 1)))
            let rebuilt = Matrix64(product.view.columns(j..<(j + 1)))
            #expect(
                QROracle.difference(column, rebuilt)
                    <= Tolerance.rounding(.float64, size: 30, norm: QROracle.norm(column)))
        }
    }

    @Test("R of a known matrix", arguments: 0..<3)
    func golden(variant: Int) throws {
        // Golub and Van Loan's 3 × 3 classic: R is (−14, −21, 14; 0, −175, 70; 0, 0, 35) up to the signs of its rows.
        let a = Matrix64(rows: 3, columns: 3, elements: [12, -51, 4, 6, 167, -68, -4, 24, -41])
        let r = try HouseholderQR(a.view, options: Self.options(variant, Double.self)).r
        let expected: [Double] = [14, 21, 14, 0, 175, 70, 0, 0, 35]
        for (value, size) in zip(r.elements, expected) { #expect(abs(abs(value) - size) < 1e-12) }
    }

    @Test("applies Q and Qᵀ without forming them, to matrices stored by rows or by columns", arguments: 0..<3)
    func application(variant: Int) throws {
        for (rows, columns) in [(20, 12), (12, 20), (33, 33), (1, 4), (6, 1)] {
            let a = QROracle.random(rows, columns)
            let qr = try HouseholderQR(a.view, options: Self.options(variant, Double.self))
            var full = Matrix64.identity(rows)
            qr.applyQ(to: full.mutableView())
            #expect(QROracle.orthogonalityError(full) < 1e-13)
            #expect(QROracle.difference(Matrix64(full.view.columns(0..<qr.size)), qr.thinQ()) < 1e-14)

            let c = QROracle.random(rows, 7, seed: 9)
            var byRows = c
            var byColumns = QROracle.transposed(c)
            qr.applyQTransposed(to: byRows.mutableView())
            qr.applyQTransposed(to: byColumns.mutableView().transposed)
            let expected = QROracle.product(QROracle.transposed(full), c)
            #expect(QROracle.difference(byRows, expected) < 1e-13)
            #expect(QROracle.difference(QROracle.transposed(byColumns), expected) < 1e-13)
            qr.applyQ(to: byRows.mutableView())
            #expect(QROracle.difference(byRows, c) < 1e-13)
        }
    }

    @Test("reads transposed and strided views")
    func strides() throws {
        let a = QROracle.random(30, 14)
        let whole = try HouseholderQR(a.view.transposed)
        #expect(try whole.r == HouseholderQR(QROracle.transposed(a).view).r)
    }

    @Test("names the first number that is not finite")
    func nonFinite() {
        var a = QROracle.random(6, 5)
        a[3, 1] = .nan
        a[3, 4] = .infinity
        #expect(throws: LinearAlgebraError.nonFinite(row: 3, column: 1)) { try HouseholderQR(a.view) }
    }

    @Test("blocked and unblocked agree, and give the same bytes on any number of threads")
    func determinism() throws {
        let a = QROracle.random(90, 70)
        let unblocked = try HouseholderQR(a.view, options: Self.options(0, Double.self))
        let before = Threads.count
        defer { Threads.count = before }
        var results: [HouseholderQR<Double>] = []
        for threads in 1...3 {
            Threads.count = threads
            results.append(try HouseholderQR(a.view, options: Self.options(2, Double.self)))
        }
        #expect(QROracle.difference(unblocked.r, results[0].r) < 1e-12)
        for result in results.dropFirst() {
            #expect(result.r == results[0].r && result.thinQ() == results[0].thinQ())
        }
    }

    @Test("the diagonal condition sees a singular matrix")
    func evidence() throws {
        #expect(try HouseholderQR(Matrix64.identity(4).view).diagonalCondition == 1)
        #expect(try HouseholderQR(Matrix64(rows: 3, columns: 3).view).diagonalCondition == .infinity)
    }
}
