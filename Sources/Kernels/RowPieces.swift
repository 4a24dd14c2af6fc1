import KernelContract
import MatrixCore

/// How a pass over a matrix is cut into pieces of contiguous numbers.
///
/// The pieces follow from the shape alone, so sums over them are the same for any number of threads.
struct RowPieces {
    let rows: Int
    let columns: Int
    /// Rows of one piece.
    let rowsPerPiece: Int
    /// Elements that one piece has at most, so that long rows are shared out as well.
    let columnsPerPiece: Int

    /// Enough to make up for handing out a piece, little enough to share evenly and to stay in L2.
    private static let elementsPerPiece = 1 << 16

    init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
        columnsPerPiece = min(max(columns, 1), Self.elementsPerPiece)
        rowsPerPiece = max(1, Self.elementsPerPiece / max(columns, 1))
    }

    var count: Int { rows == 0 || columns == 0 ? 0 : rowGroups * columnGroups }

    private var rowGroups: Int { (rows + rowsPerPiece - 1) / rowsPerPiece }
    private var columnGroups: Int { (columns + columnsPerPiece - 1) / columnsPerPiece }

    /// In the order of the elements, row by row.
    subscript(piece: Int) -> (rows: Range<Int>, columns: Range<Int>) {
        let row = piece / columnGroups * rowsPerPiece
        let column = piece % columnGroups * columnsPerPiece
        return (row..<min(row + rowsPerPiece, rows), column..<min(column + columnsPerPiece, columns))
    }
}

extension MatrixOperand {
    /// Whether each row is a run of neighbours.
    var hasContiguousRows: Bool { columnStride == 1 || columns <= 1 }

    /// As one row where the elements lie without gaps: longer runs are faster.
    var flattened: Self {
        guard hasContiguousRows, rowStride == columns || rows == 1 else { return self }
        return Self(base: base, type: type, rows: 1, columns: rows * columns, rowStride: rows * columns, owner: owner)
    }

    func address(_ row: Int, _ column: Int) -> UnsafeRawPointer {
        base + (row * rowStride + column * columnStride) * type.bytes
    }

    /// target[j] ← element (row, columns[j]), widened to Double.
    func gather(row: Int, columns: Range<Int>, into target: UnsafeMutablePointer<Double>, _ kernels: StreamKernels) {
        if hasContiguousRows {
            kernels.convert(
                RunConversion(
                    source: address(row, columns.lowerBound), sourceFormat: type.format,
                    target: UnsafeMutableRawPointer(target), targetFormat: StorageFormat.float64, count: columns.count))
        } else {
            for (j, column) in columns.enumerated() {
                target[j] = self[row, column]
            }
        }
    }
}

extension MutableMatrixOperand {
    var readable: MatrixOperand {
        MatrixOperand(
            base: UnsafeRawPointer(base), type: type, rows: rows, columns: columns, rowStride: rowStride,
            columnStride: columnStride, owner: owner)
    }

    func address(_ row: Int, _ column: Int) -> UnsafeMutableRawPointer {
        base + (row * rowStride + column * columnStride) * type.bytes
    }
}
