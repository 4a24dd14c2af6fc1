import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite("Pivot rows of leading columns")
struct NestedPivotsTests {
    private let a: Matrix = CounterRandom(seed: 3).normalMatrix(rows: 420, columns: 300)

    /// Leading columns in memory of their own.
    private func leading(_ matrix: Matrix, _ count: Int) -> Matrix {
        Matrix(rows: matrix.rows, columns: count) { matrix[$0, $1] }
    }

    private func alone(_ matrix: Matrix) throws -> [Int] {
        try PivotRows.selectRows(of: matrix.view, count: matrix.columns)
    }

    @Test(
        "are those chosen alone, in any order",
        arguments: [[300, 299, 257, 256, 255, 8, 1, 0], [1, 256, 300, 280], [270, 300, 260, 260, 300]])
    func order(counts: [Int]) throws {
        let pivots = NestedPivots()
        for count in counts {
            let part = leading(a, count)
            #expect(try pivots.selectRows(of: part) == alone(part), "\(count) of \(counts)")
        }
    }

    @Test("of another matrix are its own")
    func otherMatrices() throws {
        let pivots = NestedPivots()
        _ = try pivots.selectRows(of: a)
        // The last row of the last column alone: no pivot before it depends on it.
        for (row, column) in [(0, 0), (419, 256), (210, 128), (419, 279)] {
            var changed = leading(a, 280)
            changed[row, column] = 1000
            #expect(try pivots.selectRows(of: changed) == alone(changed), "\(row), \(column)")
            _ = try pivots.selectRows(of: a)
        }
        let taller: Matrix = CounterRandom(seed: 4).normalMatrix(rows: 421, columns: 260)
        #expect(try pivots.selectRows(of: taller) == alone(taller))
    }

    @Test("are chosen by norms where columns are dependent")
    func dependentColumns() throws {
        let repeated = Matrix(rows: 420, columns: 300) { a[$0, $1 < 280 ? $1 : 7] }
        let pivots = NestedPivots()
        for count in [300, 290, 280, 260] {
            let part = leading(repeated, count)
            #expect(try pivots.selectRows(of: part) == alone(part))
        }
    }

    @Test("are refused of a matrix with too few rows, and of one that is not finite")
    func refusals() throws {
        let pivots = NestedPivots()
        #expect(throws: LinearAlgebraError.self) { try pivots.selectRows(of: Matrix(rows: 299, columns: 300)) }
        var broken = a
        broken[3, 5] = .infinity
        #expect(throws: LinearAlgebraError.nonFinite(row: 3, column: 5)) { try pivots.selectRows(of: broken) }
    }
}
