import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite struct OrthonormalityTests {
    private let judge = Orthonormality(limit: 8e-6)

    /// Columns of the identity, one of them turned towards another.
    private func tilted(_ rows: Int, _ columns: Int, by angle: Float, _ i: Int, _ j: Int) -> Matrix {
        Matrix(rows: rows, columns: columns) { r, c in r == c ? 1 : r == i && c == j ? angle : 0 }
    }

    @Test func orthonormalColumnsAre() {
        for (rows, columns) in [(1, 1), (5, 5), (300, 120), (900, 700)] {
            #expect(judge.holds(tilted(rows, columns, by: 0, 0, 0)), "\(rows) × \(columns)")
        }
    }

    @Test func aSingleAngleIsFoundWhereverItIs() {
        for (i, j) in [(0, 1), (119, 0), (60, 61), (3, 118)] {
            #expect(judge.holds(tilted(300, 120, by: 7e-6, i, j)))
            #expect(!judge.holds(tilted(300, 120, by: 9e-6, i, j)))
            #expect(!judge.holds(tilted(300, 120, by: .nan, i, j)))
        }
    }

    /// A row of many small elements is no reason to reject, however much they come to together.
    @Test func manySmallAnglesAreNot() {
        let spread = Matrix(rows: 300, columns: 120) { r, c in r == c ? 1 : r == 200 ? 2e-3 : 0 }
        #expect(judge.holds(spread))
        let wider = Matrix(rows: 300, columns: 120) { r, c in r == c ? 1 : r == 200 ? 3e-3 : 0 }
        #expect(!judge.holds(wider))
    }

    @Test func lengthsCountToo() {
        for (length, isFine) in [(Float(1 + 3e-6), true), (1 + 6e-6, false), (0, false)] {
            let a = Matrix(rows: 50, columns: 20) { $0 == $1 ? $0 == 7 ? length : 1 : 0 }
            #expect(judge.holds(a) == isFine, "\(length)")
        }
    }
}
