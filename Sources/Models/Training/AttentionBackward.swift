import Kernels
import MatrixCore

/// Gradients of softmax(scale · Q Kᵀ) V towards Q, K and V, for all heads of several sequences.
///
/// With P the weights of a tile of queries, O = P V and D the gradient of O: dV += Pᵀ D; dS = P ∘ (D Vᵀ − rowsum(P ∘
/// D Vᵀ)); dQ = scale · dS K; dK += scale · dSᵀ Q.
///
/// - Cost: five products for the two of the forward pass. A head of keys and values of a sequence is one piece of work,
///   which adds up its tiles in order, so any number of threads gives the same sums.
struct AttentionBackward: Sendable {
    /// (tokens × heads · headDimension)
    let query: MatrixView<Float>
    /// (tokens × keyValueHeads · headDimension)
    let keys: MatrixView<Float>
    let values: MatrixView<Float>
    /// ∂L/∂O (tokens × heads · headDimension)
    let gradient: MatrixView<Float>
    /// Zero before.
    let queryGradient: MutableMatrixView<Float>
    let keyGradient: MutableMatrixView<Float>
    let valueGradient: MutableMatrixView<Float>
    let shape: TiledAttention.Shape
    let sequences: [Range<Int>]

    /// Queries of a tile.
    private static let tileRows = 64

    func run() {
        let backward = self
        let softmax = Softmax()
        parallelFor(sequences.count * shape.keyValueHeads) { index in
            backward.pullBack(
                backward.sequences[index / backward.shape.keyValueHeads],
                keyValueHead: index % backward.shape.keyValueHeads, softmax)
        }
    }

    /// All query heads that share a head of keys, for a sequence.
    private func pullBack(_ rows: Range<Int>, keyValueHead: Int, _ softmax: Softmax) {
        let d = shape.headDimension
        let group = shape.heads / shape.keyValueHeads
        let mask = TiledAttention(
            query: query.rows(rows), keys: keys.rows(rows), values: values.rows(rows), output: queryGradient.rows(rows),
            shape: shape, start: 0)
        let shared = keyValueHead * d..<(keyValueHead + 1) * d
        for head in keyValueHead * group..<(keyValueHead + 1) * group {
            for first in stride(from: 0, to: rows.count, by: Self.tileRows) {
                let tile = first..<min(first + Self.tileRows, rows.count)
                let span =
                    mask.visible(at: tile.lowerBound).lowerBound..<mask.visible(at: tile.upperBound - 1).upperBound
                let place = Tile(
                    queries: rows.lowerBound + tile.lowerBound..<rows.lowerBound + tile.upperBound,
                    keys: rows.lowerBound + span.lowerBound..<rows.lowerBound + span.upperBound,
                    own: head * d..<(head + 1) * d, shared: shared)
                pullBack(place) { row, scores in
                    mask.weigh(scores, mask.visible(at: tile.lowerBound + row), span, softmax)
                }
            }
        }
    }

    /// Some queries of a head and the keys that they see.
    private struct Tile {
        let queries: Range<Int>
        let keys: Range<Int>
        /// Columns of the head.
        let own: Range<Int>
        /// Columns of its keys and values.
        let shared: Range<Int>
    }

    /// - Parameter weigh: turns a row of scores into weights.
    private func pullBack(_ tile: Tile, _ weigh: (Int, UnsafeMutablePointer<Float>) -> Void) {
        let rows = tile.queries.count, columns = tile.keys.count
        withUnsafeTemporaryAllocation(byteCount: 2 * rows * columns * 4, alignment: 64) { memory in
            guard let base = memory.bindMemory(to: Float.self).baseAddress else { return }
            let weights = MutableMatrixView(base: base, rows: rows, columns: columns, rowStride: columns)
            let slopes = MutableMatrixView(
                base: base + rows * columns, rows: rows, columns: columns, rowStride: columns)
            let q = MatrixOperand(query.block(rows: tile.queries, columns: tile.own))
            let k = MatrixOperand(keys.block(rows: tile.keys, columns: tile.shared))
            let v = MatrixOperand(values.block(rows: tile.keys, columns: tile.shared))
            let d = MatrixOperand(gradient.block(rows: tile.queries, columns: tile.own))
            multiply(q, k.transposed, into: weights, alpha: shape.scale)
            for row in 0..<rows { weigh(row, weights.base + row * columns) }
            multiply(d, v.transposed, into: slopes)
            for row in 0..<rows {
                let p = weights.base + row * columns, slope = slopes.base + row * columns
                let mean = VectorMath.innerProduct(p, slope, columns)
                VectorMath.combine(slope, UnsafePointer(p), columns) { ($0 - mean) * $1 }
            }
            let p = MatrixOperand(weights.readable), s = MatrixOperand(slopes.readable)
            multiply(p.transposed, d, into: valueGradient.block(tile.keys, tile.shared), beta: 1)
            multiply(s, k, into: queryGradient.block(tile.queries, tile.own), alpha: shape.scale)
            multiply(s.transposed, q, into: keyGradient.block(tile.keys, tile.shared), alpha: shape.scale, beta: 1)
        }
    }
}

extension MutableMatrixView<Float> {
    fileprivate func block(_ rows: Range<Int>, _ columns: Range<Int>) -> Self { block(rows: rows, columns: columns) }
}
