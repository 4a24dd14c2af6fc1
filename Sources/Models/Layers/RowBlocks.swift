import Kernels

/// Runs `body` over ranges that cover `rows`, on several threads where the work is worth it.
///
/// The ranges follow from the shape alone, and no row is in two of them.
func forEachRowBlock(_ rows: Int, columns: Int, _ body: @Sendable (Range<Int>) -> Void) {
    // Enough numbers to make up for waking a thread.
    let rowsPerBlock = max(1, (1 << 15) / max(columns, 1))
    let blocks = (rows + rowsPerBlock - 1) / rowsPerBlock
    if blocks <= 1 {
        if rows > 0 { body(0..<rows) }
        return
    }
    parallelFor(blocks) { block in
        body(block * rowsPerBlock..<min((block + 1) * rowsPerBlock, rows))
    }
}
