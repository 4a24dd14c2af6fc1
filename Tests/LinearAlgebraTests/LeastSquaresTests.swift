import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite("Least squares")
struct LeastSquaresTests {
    /// Aᵀ(A X − B) + λ X, zero at the minimum.
    func gradient(_ a: Matrix64, _ b: Matrix64, _ x: Matrix64, ridge: Double = 0) -> Double {
        let residual = QROracle.product(a, x)
        let difference = Matrix64(rows: b.rows, columns: b.columns) { residual[$0, $1] - b[$0, $1] }
        let gradient = QROracle.product(QROracle.transposed(a), difference)
        return QROracle.norm(Matrix64(rows: x.rows, columns: x.columns) { gradient[$0, $1] + ridge * x[$0, $1] })
    }

    @Test("tall systems: the gradient vanishes, the residual is the one reported")
    func tall() throws {
        for (m, n, p) in [(1, 1, 1), (9, 9, 2), (40, 7, 3), (70, 33, 1), (12, 1, 4)] {
            let a = QROracle.random(m, n)
            let b = QROracle.random(m, p, seed: 5)
            let result = try LeastSquares(a.view, b.view)
            #expect(result.solver == .qr && result.rank == n)
            #expect(gradient(a, b, result.solution) <= 1e-11 * QROracle.norm(a) * QROracle.norm(b))
            let residual = QROracle.difference(QROracle.product(a, result.solution), b)
            #expect(abs(residual - result.residualNorm) <= 1e-12 * QROracle.norm(b))
        }
    }

    @Test("wide and deficient systems: least residual and least norm")
    func minimumNorm() throws {
        let wide = QROracle.random(6, 15)
        let deficient = QROracle.matrix(rows: 20, columns: 12, singularValues: [4, 2, 1])
        let duplicated = Matrix64(rows: 10, columns: 6) { Double(($0 * 7 + $1 / 2) % 5) }
        for (a, rank) in [(wide, 6), (deficient, 3), (duplicated, 3), (Matrix64(rows: 5, columns: 3), 0)] {
            let b = QROracle.random(a.rows, 2, seed: 6)
            let result = try LeastSquares(a.view, b.view)
            #expect(result.solver == .completeOrthogonal && result.rank == rank)
            #expect(gradient(a, b, result.solution) <= 1e-11 * max(QROracle.norm(a), 1) * QROracle.norm(b))
            // The solution of least norm has no part outside of the row space, which A's own pivoted basis spans.
            let basis = try PivotedQR(a.view.transposed).thinQ()
            let inside = QROracle.product(basis, QROracle.product(QROracle.transposed(basis), result.solution))
            #expect(QROracle.difference(inside, result.solution) <= 1e-11 * max(QROracle.norm(result.solution), 1))
        }
    }

    @Test("nearly dependent columns that no diagonal entry of R betrays are found")
    func hidden() throws {
        let a = QROracle.kahan(100, angle: 0.9)
        #expect(try LeastSquares(a.view, QROracle.random(100, 1).view).rank < 100)
        #expect(throws: LinearAlgebraError.self) {
            try LeastSquares(a.view, QROracle.random(100, 1).view, options: .init(deficiency: .error))
        }
    }

    @Test("a ridge makes any system regular", arguments: [1e-6, 1.0, 100])
    func ridge(lambda: Double) throws {
        for (m, n) in [(20, 6), (6, 20), (8, 8)] {
            let a = QROracle.random(m, n)
            let b = QROracle.random(m, 2, seed: 6)
            let result = try LeastSquares(a.view, b.view, options: .init(ridge: lambda))
            #expect(gradient(a, b, result.solution, ridge: lambda) <= 1e-10 * QROracle.norm(a) * QROracle.norm(b))
            let moments = try NormalEquations(
                gram: QROracle.product(QROracle.transposed(a), a), right: QROracle.product(QROracle.transposed(a), b),
                ridge: lambda)
            #expect(QROracle.difference(moments.solution, result.solution) <= 1e-6 * QROracle.norm(result.solution))
            #expect(moments.shift == 0 && moments.relativeResidual < 1e-10)
        }
    }

    @Test("shapes and numbers that make no sense are refused")
    func refusals() {
        let a = QROracle.random(5, 3)
        #expect(throws: LinearAlgebraError.self) { try LeastSquares(a.view, QROracle.random(4, 1).view) }
        var b = QROracle.random(5, 2)
        b[1, 1] = .nan
        #expect(throws: LinearAlgebraError.nonFinite(row: 1, column: 1)) { try LeastSquares(a.view, b.view) }
        #expect(throws: LinearAlgebraError.nonFinite(row: 1, column: 1)) {
            try NormalEquations(gram: .identity(5), right: b)
        }
        #expect(throws: LinearAlgebraError.self) { try NormalEquations(gram: .identity(4), right: b) }
    }

    @Test("scales 1e±30", arguments: [1e-30, 1e30])
    func scales(scale: Double) throws {
        let a = QROracle.random(20, 6)
        let x = QROracle.random(6, 2, seed: 7)
        let scaled = Matrix64(rows: 20, columns: 6) { a[$0, $1] * scale }
        let result = try LeastSquares(scaled.view, QROracle.product(scaled, x).view)
        #expect(QROracle.difference(result.solution, x) < 1e-12)
    }
}
