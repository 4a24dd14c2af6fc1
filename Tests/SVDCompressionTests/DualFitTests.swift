import CompressionCore
import Foundation
import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import SVDCompression

@Suite struct DualFitTests {
    /// A target whose singular values fall evenly from 1 to 1 / condition.
    private func target(_ m: Int, _ n: Int, condition: Double) throws -> Matrix {
        let count = min(m, n)
        let left: Matrix = CounterRandom(seed: 1).normalMatrix(rows: m, columns: count)
        let right: Matrix = CounterRandom(seed: 2).normalMatrix(rows: n, columns: count)
        let u = try HouseholderQR(left.view).thinQ(), v = try HouseholderQR(right.view).thinQ()
        let scaled = Matrix(rows: m, columns: count) {
            u[$0, $1] * Float(pow(condition, -Double($1) / Double(count - 1)))
        }
        var result = Matrix(uninitializedRows: m, columns: n)
        multiply(MatrixOperand(scaled), MatrixOperand(v).transposed, into: result.mutableView())
        return result
    }

    private func metric(_ size: Int, _ seed: UInt64) throws -> Metric {
        let x: Matrix64 = CounterRandom(seed: seed).normalMatrix(rows: size, columns: 3 * size)
        var moment = Matrix64(rows: size, columns: size)
        multiplyByTranspose(MatrixOperand(x), into: moment.mutableView())
        return .gram(try GramMetric(moment: moment))
    }

    private func objectives(_ weight: Matrix) throws -> [Objective] {
        let target = MatrixOperand(weight)
        return [
            Objective(target: target),
            Objective(
                target: target, inputs: .diagonal((0..<weight.columns).map { 0.5 + Double($0 % 5) }),
                outputs: .diagonal((0..<weight.rows).map { 1 + Double($0 % 3) })),
            Objective(target: target, inputs: try metric(weight.columns, 7)),
        ]
    }

    private func truncated(
        _ objective: Objective, rank: Int
    ) throws -> (a: Matrix, b: MatrixOperand, dual: DualBasis?) {
        let problem = WhitenedProblem(objective)
        let svd = try problem.decompose { try TruncatedSVD(route: .direct).decompose($0, rank: rank) }
        let (a, b) = problem.basis(of: svd, rank: rank)
        return (a, b, DualBasis(objective, svd, rank: rank))
    }

    /// Largest departure of a product from a matrix, in Double.
    private func difference(_ a: Matrix, _ b: Matrix, _ wanted: (Int, Int) -> Double) -> Double {
        var largest = 0.0
        for i in 0..<a.rows {
            for j in 0..<b.columns {
                let found = (0..<a.columns).reduce(0.0) { $0 + Double(a[i, $1]) * Double(b[$1, j]) }
                largest = max(largest, abs(found - wanted(i, j)))
            }
        }
        return largest
    }

    @Test func theDualBasisTakesRowsBackToCoordinates() throws {
        for objective in try objectives(target(30, 24, condition: 20)) {
            let (a, b, dual) = try truncated(objective, rank: 9)
            let found = try #require(dual)
            let ofRows = found.coordinates(of: Matrix(rows: 9, columns: 24) { Float(b[$0, $1]) })
            #expect(difference(Matrix.identity(9), ofRows) { $0 == $1 ? 1 : 0 } < 1e-4)
            let weight = Matrix(rows: 30, columns: 24) { Float(objective.target[$0, $1]) }
            let ofTarget = found.coordinates(of: weight)
            #expect(difference(Matrix.identity(30), ofTarget) { Double(a[$0, $1]) } < 1e-4)
        }
    }

    @Test func itIsRefusedWhereRowsAreTiedToEachOtherOrVanish() throws {
        let weight = try target(16, 12, condition: 4)
        let tied = Objective(target: MatrixOperand(weight), outputs: try metric(16, 8))
        #expect(try truncated(tied, rank: 5).dual == nil)
        let zero = Objective(target: MatrixOperand(Matrix(rows: 16, columns: 12)))
        #expect(try truncated(zero, rank: 5).dual == nil)
    }

    /// The written error is that of least squares, within what the fit allows itself, in every metric and type.
    @Test(arguments: [ElementType.bfloat16, .float16], [4.0, 100, 10_000])
    func theErrorIsThatOfLeastSquares(type: ElementType, condition: Double) throws {
        var ratios: [Double] = []
        for (m, n, r) in [(40, 30, 12), (25, 60, 20), (33, 33, 32), (20, 15, 1)] {
            for objective in try objectives(target(m, n, condition: condition)) {
                let (a, b, dual) = try truncated(objective, rank: r)
                let fast = try PivotForm(RowChoice(of: a), b: b, dual: dual, objective: objective, storedAs: type)
                let slow = try PivotForm(RowChoice(of: a), b: b, objective: objective, storedAs: type)
                #expect(fast.rest == slow.rest)
                let error = objective.relativeError(of: fast.form), least = objective.relativeError(of: slow.form)
                // Rounding of the coefficients makes either the better one by chance, of so few by some per cent.
                #expect(error <= least * 1.1)
                ratios.append(error / least)
            }
        }
        let mean = ratios.reduce(0, +) / Double(ratios.count)
        #expect(mean < 1.01, "\(ratios)")
    }

    /// X (A_p + N R) = A_q, to Float; and none where the noise drowns the rows.
    @Test(arguments: [(1e-3, true), (3.0, false)]) func itSolvesWhatItSays(level: Double, isFitted: Bool) throws {
        let objective = Objective(target: MatrixOperand(try target(30, 24, condition: 20)))
        let (a, _, dual) = try truncated(objective, rank: 9)
        let choice = try RowChoice(of: a)
        #expect(try choice.pivots == PivotRows.selectRows(of: a.view, count: 9))
        #expect(choice.rest == (0..<30).filter { !choice.pivots.contains($0) })
        let normal: Matrix = CounterRandom(seed: 5).normalMatrix(rows: 9, columns: 24)
        let noise = Matrix(rows: 9, columns: 24) { normal[$0, $1] * Float(level) / 30 }
        let found = try #require(dual)
        let fit = DualFit(choice: choice, noise: noise, dual: found)
        guard let x = fit.solution() else { return #expect(!isFitted) }
        #expect(isFitted)
        let moved = found.coordinates(of: noise)
        let basis = Matrix(rows: 9, columns: 9) { a[choice.pivots[$0], $1] + moved[$0, $1] }
        #expect(difference(x, basis) { Double(a[choice.rest[$0], $1]) } < 1e-4)
    }
}
