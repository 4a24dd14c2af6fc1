import Foundation
import Kernels
import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite("Cholesky")
struct CholeskyTests {
    static func gram(_ a: Matrix64) -> Matrix64 { QROracle.product(QROracle.transposed(a), a) }

    static func options(leaf: Int) -> Cholesky.Options {
        var options = Cholesky.Options()
        options.leafSize = leaf
        return options
    }

    @Test("L Lᵀ is the matrix, with no shift, at sizes around the leaf", arguments: [1, 8, 64])
    func identity(leaf: Int) throws {
        for size in [0, 1, 2, 7, 8, 9, 16, 17, 31, 63, 64, 65, 100] {
            let g = Self.gram(QROracle.random(size + 20, size))
            let result = try Cholesky(g, options: Self.options(leaf: leaf))
            let product = QROracle.product(result.l, QROracle.transposed(result.l))
            #expect(
                QROracle.difference(product, g) <= Tolerance.rounding(.float64, size: size, norm: QROracle.norm(g)))
            #expect(result.shift == 0 && result.attempts == 1)
            for i in 0..<size {
                for j in (i + 1)..<max(size, i + 1) { #expect(result.l[i, j] == 0) }
            }
        }
    }

    @Test("the golden 3 × 3")
    func golden() throws {
        let g = Matrix64(rows: 3, columns: 3, elements: [4, 12, -16, 12, 37, -43, -16, -43, 98])
        #expect(try Cholesky.factor(g).l == Matrix64(rows: 3, columns: 3, elements: [2, 0, 0, 6, 1, 0, -8, 5, 3]))
    }

    @Test(
        "a Gram of too few samples gets the smallest shift of the list, reported and on the diagonal",
        arguments: [4, 64])
    func deficient(leaf: Int) throws {
        for scale in [1e-30, 1, 1e30] {
            let a = QROracle.random(10, 40)
            let scaled = Matrix64(rows: 10, columns: 40) { a[$0, $1] * scale }
            let g = Self.gram(scaled)
            let result = try Cholesky(g, options: Self.options(leaf: leaf))
            let mean = (0..<40).reduce(0) { $0 + g[$1, $1] } / 40
            #expect(result.shift > 0 && result.shift < 1e-10 * mean)
            var shifted = g
            for i in 0..<40 { shifted[i, i] += result.shift }
            let product = QROracle.product(result.l, QROracle.transposed(result.l))
            #expect(QROracle.difference(product, shifted) <= 1e-14 * QROracle.norm(g))
        }
    }

    @Test("dead channels need a shift, small sound ones do not")
    func channels() throws {
        var g = Self.gram(QROracle.random(30, 6))
        for i in 0..<6 {
            for j in 0..<6 { g[i, j] *= pow(10, -4 * Double(i + j)) }
        }
        #expect(try Cholesky(g).shift == 0)
        for i in 0..<6 { (g[2, i], g[i, 2]) = (0, 0) }
        #expect(try Cholesky(g).shift > 0)
    }

    @Test("an indefinite matrix, an all-zero one, and a singular one where shifts are forbidden are errors")
    func failures() throws {
        let indefinite = Matrix64(rows: 2, columns: 2, elements: [1, 2, 2, 1])
        #expect(throws: LinearAlgebraError.notPositiveDefinite(order: 2, pivot: -3)) {
            var options = Cholesky.Options()
            options.largestShift = 0
            _ = try Cholesky(indefinite, options: options)
        }
        #expect(throws: LinearAlgebraError.self) { try Cholesky(indefinite) }
        #expect(throws: LinearAlgebraError.notPositiveDefinite(order: 1, pivot: 0)) {
            try Cholesky(Matrix64(rows: 3, columns: 3))
        }
        #expect(throws: LinearAlgebraError.shapeMismatch(rows: 2, columns: 3, expected: "square")) {
            try Cholesky(Matrix64(rows: 2, columns: 3))
        }
        #expect(throws: LinearAlgebraError.nonFinite(row: 1, column: 0)) {
            try Cholesky(Matrix64(rows: 2, columns: 2, elements: [1, 0, .nan, 1]))
        }
    }

    @Test("solves, and gives the same bytes on any number of threads")
    func solve() throws {
        let g = Self.gram(QROracle.random(120, 90))
        let x = QROracle.random(90, 5, seed: 4)
        let before = Threads.count
        defer { Threads.count = before }
        var results: [Cholesky] = []
        for threads in 1...3 {
            Threads.count = threads
            results.append(try Cholesky(g, options: Self.options(leaf: 16)))
        }
        #expect(results.allSatisfy { $0.l == results[0].l })
        var right = QROracle.product(g, x)
        results[0].solve(into: right.mutableView())
        #expect(QROracle.difference(right, x) <= 1e-11 * QROracle.norm(x))
        #expect(results[0].diagonalCondition >= 1)
    }
}
