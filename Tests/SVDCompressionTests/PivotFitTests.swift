import Foundation
import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import SVDCompression

@Suite struct PivotFitTests {
    /// Rows with singular values from 1 down to 1 / condition, in bf16 like those of a file.
    private func rows(_ count: Int, _ width: Int, condition: Double) throws -> Matrix {
        let left: Matrix = CounterRandom(seed: 1).normalMatrix(rows: count, columns: count)
        let right: Matrix = CounterRandom(seed: 2).normalMatrix(rows: width, columns: count)
        let u = try HouseholderQR(left.view).thinQ(), v = try HouseholderQR(right.view).thinQ()
        let steps = Double(max(count - 1, 1))
        let scaled = Matrix(rows: count, columns: count) { u[$0, $1] * Float(pow(condition, -Double($1) / steps)) }
        var product = Matrix(rows: count, columns: width)
        multiply(MatrixOperand(scaled), MatrixOperand(v).transposed, into: product.mutableView())
        return Matrix(rows: count, columns: width) { BFloat16(product[$0, $1]).float }
    }

    /// ‖F − X P‖² in Double, entry by entry.
    private func loss(_ x: (Int, Int) -> Double, _ p: Matrix, _ f: Matrix) -> Double {
        var total = 0.0
        for i in 0..<f.rows {
            for j in 0..<p.columns {
                let found = (0..<p.rows).reduce(0.0) { $0 + x(i, $1) * Double(p[$1, j]) }
                total += (Double(f[i, j]) - found) * (Double(f[i, j]) - found)
            }
        }
        return total
    }

    @Test(arguments: [(1, 7, 1), (3, 5, 4), (33, 70, 21), (64, 64, 10)], [1.0, 30, 3000])
    func theLossIsThatOfTheOrthogonalRoute(shape: (Int, Int, Int), condition: Double) throws {
        let (count, width, others) = shape
        let p = try rows(count, width, condition: condition)
        let f: Matrix = CounterRandom(seed: 3).normalMatrix(rows: others, columns: width)
        let best = try LeastSquares(
            Matrix64(rows: width, columns: count) { Double(p[$1, $0]) }.view,
            Matrix64(rows: width, columns: others) { Double(f[$1, $0]) }.view
        ).solution
        let least = loss({ best[$1, $0] }, p, f), scale = loss({ _, _ in 0 }, p, f)
        let zeros = Matrix(rows: others, columns: count)
        let near = Matrix(rows: others, columns: count) { Float(best[$1, $0]) * 1.01 }
        for (type, guess) in [(ElementType.bfloat16, zeros), (.bfloat16, near), (.float16, zeros), (.float16, near)] {
            let fit = PivotFit(rows: MatrixOperand(p), target: MatrixOperand(f), guess: guess, type: type)
            let x = try #require(try fit.solution())
            let found = loss({ Double(x[$0, $1]) }, p, f)
            func round(_ number: Float) -> Float {
                type == .bfloat16 ? BFloat16(number).float : Half(number).float
            }
            let rounded = loss({ Double(round(Float(best[$1, $0]))) }, p, f)
            #expect(found - least <= 0.01 * (rounded - least) + 1e-9 * scale && found - least >= -1e-9 * scale)
        }
    }

    @Test func rowsThatDependOnEachOtherHaveNoFit() throws {
        let p = Matrix(rows: 3, columns: 8) { Float(($0 + 1) * ($1 + 1)) }
        let f: Matrix = CounterRandom(seed: 4).normalMatrix(rows: 5, columns: 8)
        let fit = PivotFit(
            rows: MatrixOperand(p), target: MatrixOperand(f), guess: Matrix(rows: 5, columns: 3), type: .bfloat16)
        #expect(try fit.solution() == nil)
    }

    /// Squares that leave the range of Float are left to Double.
    @Test(arguments: [1e-25, 1e25]) func anyScaleThatCanBeStoredIsFitted(scale: Float) throws {
        let p = try rows(4, 9, condition: 3)
        let scaled = Matrix(rows: 4, columns: 9) { p[$0, $1] * scale }
        let f = Matrix(rows: 2, columns: 9) { scaled[$0, $1] - 2 * scaled[$0 + 2, $1] }
        let fit = PivotFit(
            rows: MatrixOperand(scaled), target: MatrixOperand(f), guess: Matrix(rows: 2, columns: 4), type: .bfloat16)
        let x = try #require(try fit.solution())
        for i in 0..<2 {
            for j in 0..<4 {
                let expected: Float = j == i ? 1 : j == i + 2 ? -2 : 0
                #expect(abs(x[i, j] - expected) < 1e-4)
            }
        }
    }
}
