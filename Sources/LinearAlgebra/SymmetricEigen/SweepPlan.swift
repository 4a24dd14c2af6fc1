import KernelContract

/// How a pass over the lower triangle of a symmetric matrix (n × n) is cut into pieces, for any number of threads.
///
/// A group of neighbouring columns is cut into pieces of rows. Each piece leaves sums of A v for its rows and for its
/// columns; those of a group's rows lie one below the other, those of the columns of each piece behind all of them.
/// They are added in one order (`terms`), so that no sum depends on who made its parts.
///
/// - Cost: n² / 2g rows of sums for groups of g columns, and g for each piece.
struct SweepPlan {
    struct Piece {
        var rows: Range<Int>
        var columns: Range<Int>
        /// Rows of sums before those of its rows, and before those of its columns.
        var rowSums: Int
        var columnSums: Int

        fileprivate var area: Int { rows.count * columns.count }
    }

    let size: Int
    /// Group by group from the left, each from the top.
    let pieces: [Piece]
    /// The pieces in order of work: the longest first, so that the last leave no thread waiting for long.
    let order: [Int]
    /// Rows of sums in all.
    let sumRows: Int

    /// A row of a group of columns; with half-width 64, what belongs to 512 columns in Float takes 512 KiB.
    private static let widestGroupBytes = 2048
    /// Groups of a small matrix, so that it can be shared out.
    private static let fewestGroups = 8
    /// Rows of a piece in widths of its group.
    private static let pieceHeight = 4
    private static let block = SymmetricSweep.block

    init(size: Int, elementBytes: Int) {
        self.size = size
        let blocks = (size + Self.block - 1) / Self.block
        let group = min(Self.widestGroupBytes / (Self.block * elementBytes), max(1, blocks / Self.fewestGroups))
        var found: [Piece] = []
        var sums = 0
        for first in stride(from: 0, to: blocks, by: group) {
            let count = (blocks - first + Self.pieceHeight * group - 1) / (Self.pieceHeight * group)
            let height = (blocks - first + count - 1) / count
            for start in stride(from: first, to: blocks, by: height) {
                found.append(
                    Piece(
                        rows: Self.elements(start..<start + height, size),
                        columns: Self.elements(first..<first + group, size),
                        rowSums: sums + (start - first) * Self.block, columnSums: 0))
            }
            sums += (blocks - first) * Self.block
        }
        for index in found.indices {
            found[index].columnSums = sums
            sums += group * Self.block
        }
        let areas = found.map(\.area)
        pieces = found
        order = found.indices.sorted { (areas[$0], $1) > (areas[$1], $0) }
        sumRows = sums
    }

    private static func elements(_ blocks: Range<Int>, _ size: Int) -> Range<Int> {
        min(size, blocks.lowerBound * block)..<min(size, blocks.upperBound * block)
    }

    /// Where the sums of the rows of the block at `row` lie, from left to right and then from top to bottom.
    func terms(ofBlockAt row: Int) -> [Int] {
        var found: [Int] = []
        for piece in pieces where piece.rows.contains(row) { found.append(piece.rowSums + row - piece.rows.lowerBound) }
        for piece in pieces where piece.columns.contains(row) {
            found.append(piece.columnSums + row - piece.columns.lowerBound)
        }
        return found
    }
}
