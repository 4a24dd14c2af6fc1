import Kernels
import MatrixCore

/// softmax(scale · Q Kᵀ) V for all heads, a tile of queries at a time.
///
/// Token i of the queries stands at position `start` + i. With a causal mask it sees the keys up to its position, with
/// a window only the last `window` of them. Several query heads share a head of keys and values (grouped-query).
///
/// - Cost: 4 · tokens · keys · features operations, without the products beyond the last visible key of a tile; memory
///   is one tile of scores for each thread, so it grows with the number of keys and not with its square.
struct TiledAttention: Sendable {
    /// (tokens × heads · headDimension)
    let query: MatrixView<Float>
    /// (keys × keyValueHeads · headDimension)
    let keys: MatrixView<Float>
    let values: MatrixView<Float>
    /// (tokens × heads · headDimension)
    let output: MutableMatrixView<Float>
    let shape: Shape
    /// Position of the first query.
    let start: Int

    struct Shape: Sendable {
        let heads: Int
        let keyValueHeads: Int
        let headDimension: Int
        let scale: Float
        let isCausal: Bool
        let window: Int?
    }

    /// Scores of a tile, if the sequence is not so long that even eight queries have more.
    private static let scoresPerTile = 1 << 17
    /// Below this many operations, waking another thread costs more than it saves.
    private static let smallestShared = 200_000

    func run() {
        let tileRows = min(64, max(8, Self.scoresPerTile / max(keys.rows, 1)))
        let tiles = (query.rows + tileRows - 1) / tileRows
        let attention = self
        let softmax = Softmax()
        let tasks = tiles * shape.keyValueHeads
        @Sendable func runTask(_ index: Int) {
            // The last tiles see the most keys, so they go first.
            let tile = tiles - 1 - index / attention.shape.keyValueHeads
            let rows = tile * tileRows..<min((tile + 1) * tileRows, attention.query.rows)
            attention.attend(rows, keyValueHead: index % attention.shape.keyValueHeads, softmax)
        }
        if 4 * query.rows * keys.rows * query.columns < Self.smallestShared {
            for index in 0..<tasks { runTask(index) }
        } else {
            parallelFor(tasks, runTask)
        }
    }

    /// The keys that the token at a position sees.
    func visible(at position: Int) -> Range<Int> {
        let end = shape.isCausal ? min(position + 1, keys.rows) : keys.rows
        let first = shape.window.map { max(0, position + 1 - $0) } ?? 0
        return min(first, end)..<end
    }

    /// All query heads that share a head of keys, for the tokens of a tile.
    private func attend(_ rows: Range<Int>, keyValueHead: Int, _ softmax: Softmax) {
        let d = shape.headDimension
        let group = shape.heads / shape.keyValueHeads
        let firstHead = keyValueHead * group
        let span = visible(at: start + rows.lowerBound).lowerBound..<visible(at: start + rows.upperBound - 1).upperBound
        let features = keyValueHead * d..<(keyValueHead + 1) * d
        let k = keys.block(rows: span, columns: features)
        let v = values.block(rows: span, columns: features)
        // With one token, the heads of the group are the rows of a matrix: keys and values are read once.
        let isOneToken = rows.count == 1
        let blockRows = isOneToken ? group : rows.count
        withUnsafeTemporaryAllocation(byteCount: blockRows * span.count * 4, alignment: 64) { memory in
            guard let base = memory.bindMemory(to: Float.self).baseAddress else { return }
            let scores = MutableMatrixView(base: base, rows: blockRows, columns: span.count, rowStride: span.count)
            for head in firstHead..<(isOneToken ? firstHead + 1 : firstHead + group) {
                let offset = rows.lowerBound * query.rowStride + head * d
                let q = MatrixView(
                    base: query.base + offset, rows: blockRows, columns: d,
                    rowStride: isOneToken ? d : query.rowStride)
                let out = MutableMatrixView(
                    base: output.base + rows.lowerBound * output.rowStride + head * d, rows: blockRows, columns: d,
                    rowStride: isOneToken ? d : output.rowStride)
                multiply(MatrixOperand(q), MatrixOperand(k).transposed, into: scores, alpha: shape.scale)
                for row in 0..<blockRows {
                    let position = start + rows.lowerBound + (isOneToken ? 0 : row)
                    weigh(scores.base + row * span.count, visible(at: position), span, softmax)
                }
                multiply(MatrixOperand(scores.readable), MatrixOperand(v), into: out)
            }
        }
    }

    /// Softmax over the visible keys of a row, zero elsewhere.
    func weigh(
        _ row: UnsafeMutablePointer<Float>, _ visible: Range<Int>, _ span: Range<Int>, _ softmax: Softmax
    ) {
        let first = visible.lowerBound - span.lowerBound
        let end = visible.upperBound - span.lowerBound
        row.update(repeating: 0, count: first)
        softmax(row + first, end - first)
        (row + end).update(repeating: 0, count: span.count - end)
    }
}
