import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// A low-rank matrix that is stored already, W' = L R (m × n), stored the other way: as two factors or by pivot rows.
///
/// - From pivots to factors, and back from factors that were pivots, numbers are moved and none is computed: the same
///   bits.
/// - From other factors to pivots: L = QT, and pivot rows of QT R by a column-pivoted QR of Qᵀ, as `PivotForm` does it
///   for
///   a decomposition. What changes is rounding to the type of storage.
public enum StorageConversion {
    public static func factors(_ factors: Factors, storedAs type: ElementType) -> FactorOperator {
        FactorOperator(a: factors.left, b: factors.right, storedAs: type)
    }

    /// - Throws: `LinearAlgebraError` where a number is not finite.
    public static func pivot(_ factors: Factors, storedAs type: ElementType) throws -> PivotOperator {
        if let moved = unchanged(factors, storedAs: type) { return moved }
        var left = Matrix(uninitializedRows: factors.left.rows, columns: factors.rank)
        convert(factors.left, into: MutableMatrixOperand(left.mutableView()))
        let qr = try ThinQR(left.view)
        var right = Matrix(uninitializedRows: factors.rank, columns: factors.right.columns)
        multiply(MatrixOperand(qr.r), factors.right, into: right.mutableView())
        var target = Matrix(uninitializedRows: factors.left.rows, columns: factors.right.columns)
        multiply(factors.left, factors.right, into: target.mutableView())
        return try PivotForm(
            RowChoice(of: qr.q), b: MatrixOperand(right), objective: Objective(target: MatrixOperand(target)),
            storedAs: type
        ).form
    }

    /// The pivot form of factors whose L holds every row of the identity; nil for others.
    private static func unchanged(_ factors: Factors, storedAs type: ElementType) -> PivotOperator? {
        let left = factors.left
        var rows = [Int?](repeating: nil, count: left.columns)  // the row of L that is e_j
        for row in 0..<left.rows {
            if let column = unitColumn(of: left, row: row), rows[column] == nil { rows[column] = row }
        }
        let pivots = rows.compactMap { $0 }
        guard pivots.count == left.columns else { return nil }
        let order = pivots.indices.sorted { pivots[$0] < pivots[$1] }
        let chosen = order.map { pivots[$0] }
        let isPivot = Set(chosen)
        let rest = (0..<left.rows).filter { !isPivot.contains($0) }
        let pivotRows = Matrix(rows: order.count, columns: factors.right.columns) {
            Float(factors.right[order[$0], $1])
        }
        let coefficients = Matrix(rows: rest.count, columns: order.count) { Float(left[rest[$0], order[$1]]) }
        return PivotOperator(
            pivot: MatrixOperand(pivotRows), rest: MatrixOperand(coefficients), rows: chosen, storedAs: type)
    }

    /// j where a row is e_j.
    private static func unitColumn(of matrix: MatrixOperand, row: Int) -> Int? {
        var found: Int?
        for column in 0..<matrix.columns {
            let value = matrix[row, column]
            if value == 0 { continue }
            guard value == 1, found == nil else { return nil }
            found = column
        }
        return found
    }
}
