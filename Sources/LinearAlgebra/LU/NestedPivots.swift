import Kernels
import MatrixCore

/// Rows that span the leading columns of a matrix, as many as there are columns, for one number of them after another.
///
/// Where rows are chosen by elimination, those of leading columns are the first pivots of the whole matrix, to the bit
/// (`PivotedLU`). So the pivots of a matrix are kept, and serve every later one that it begins with: matrices with many
/// columns are to come before those with few.
///
/// - Cost: that of `PivotRows.selectRows`; of a matrix that an earlier one begins with, that of comparing the two.
public final class NestedPivots {
    /// A matrix, and its pivots in the order of the columns.
    private var known: (matrix: Matrix, pivots: [Int])?

    public init() {}

    /// What `PivotRows.selectRows` gives for as many rows as a (m × r) has columns.
    /// - Throws: as that.
    public func selectRows(of a: Matrix) throws(LinearAlgebraError) -> [Int] {
        let options = PivotRows<Float>.Options(), count = a.columns
        if let known, count <= known.pivots.count, options.eliminates(count), Self.begins(known.matrix, with: a) {
            return known.pivots[..<count].sorted()
        }
        let choice = try PivotRows.choose(a.view, count, options), pivots = Array(choice.order[..<count])
        if choice.isNested { known = (a, pivots) }
        return pivots.sorted()
    }

    /// Whether the leading columns of a matrix are another, to the bit.
    private static func begins(_ matrix: Matrix, with leading: Matrix) -> Bool {
        guard matrix.rows == leading.rows, matrix.columns >= leading.columns else { return false }
        let whole = matrix.view, part = leading.view, rowsPerPiece = 64
        let pieces = (part.rows + rowsPerPiece - 1) / rowsPerPiece
        let differences = AlignedBuffer<UInt32>(uninitializedCount: pieces)
        parallelFor(pieces) { piece in
            var difference: UInt32 = 0
            for row in piece * rowsPerPiece..<min((piece + 1) * rowsPerPiece, part.rows) {
                let left = UnsafeRawPointer(whole.base + row * whole.rowStride).assumingMemoryBound(to: UInt32.self)
                let right = UnsafeRawPointer(part.base + row * part.rowStride).assumingMemoryBound(to: UInt32.self)
                for column in 0..<part.columns { difference |= left[column] ^ right[column] }
            }
            differences.base[piece] = difference
        }
        return (0..<pieces).allSatisfy { differences.base[$0] == 0 }
    }
}
