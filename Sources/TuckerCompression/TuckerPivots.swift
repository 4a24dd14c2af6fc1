import CompressionCore
import Kernels
import MatrixCore

extension TuckerStorage {
    /// The pivot rows among the tensors of a group, by mode.
    func pivots(_ tensors: [StoredTensor]) -> [TuckerMode: [Int32]] {
        var pivots: [TuckerMode: [Int32]] = [:]
        for (part, tensor) in zip(parts, tensors) where part.isIndex {
            if let mode = part.mode { pivots[mode] = tensor.array(of: Int32.self) }
        }
        return pivots
    }
}

extension StoredTensor {
    /// A factor (rest × r) with the identity put into its pivot rows, in its own type, which holds 0 and 1 exactly.
    func withIdentity(in pivots: [Int32]) -> StoredTensor {
        guard let rest = operand() else { return self }
        var whole = Matrix(rows: rest.rows + pivots.count, columns: rest.columns)
        let target = whole.mutableView()
        var place = 0, column = 0
        for row in 0..<target.rows {
            if column < pivots.count, Int(pivots[column]) == row {
                target[row, column] = 1
                column += 1
            } else {
                for j in 0..<rest.columns { target[row, j] = Float(rest[place, j]) }
                place += 1
            }
        }
        return StoredTensor(MatrixOperand(whole), as: rest.type)
    }
}
