import Kernels
import LinearAlgebra
import MatrixCore

/// Rows that span A (m × r), and the others in terms of them.
struct RowChoice {
    /// Ascending.
    let pivots: [Int]
    /// The others, ascending.
    let rest: [Int]
    /// A_p (r × r).
    let pivotRows: Matrix
    private let a: Matrix

    /// - Parameter choices: those made of matrices that a may begin.
    init(of a: Matrix, _ choices: NestedPivots = NestedPivots()) throws(LinearAlgebraError) {
        self.a = a
        pivots = try choices.selectRows(of: a)
        var isPivot = [Bool](repeating: false, count: a.rows)
        for row in pivots { isPivot[row] = true }
        rest = isPivot.indices.filter { !isPivot[$0] }
        pivotRows = Self.rows(pivots, of: a)
    }

    /// A_q ((m − r) × r), a copy.
    func otherRows() -> Matrix { Self.rows(rest, of: a) }

    /// C = A_q A_p⁻¹; what the pivots span of it, where they are dependent.
    func interpolation() throws(LinearAlgebraError) -> Matrix {
        let lu = try PivotedLU(pivotRows.view)
        guard lu.rank == pivotRows.rows else { return try PivotRows(of: a.view, count: a.columns).interpolation }
        var result = otherRows()
        lu.divide(result.mutableView())
        return result
    }

    private static func rows(_ rows: [Int], of a: Matrix) -> Matrix {
        var result = Matrix(uninitializedRows: rows.count, columns: a.columns)
        PivotForm.copy(rows, of: MatrixOperand(a), into: MutableMatrixOperand(result.mutableView()))
        return result
    }
}
