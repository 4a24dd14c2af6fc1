import Foundation
import Kernels
import MatrixCore

/// The eigenvalues of all blocks in one order, and their vectors on demand.
struct TridiagonalSolution {
    let order: Int
    let blocks: [TridiagonalBlock]
    /// Ascending.
    let values: [Double]
    /// Where each value comes from: its block and its position there.
    private let sources: [(block: Int, position: Int)]

    init(order: Int, blocks: [TridiagonalBlock], exponent: Int) {
        self.order = order
        self.blocks = blocks
        var all: [(value: Double, block: Int, position: Int)] = []
        all.reserveCapacity(order)
        for (b, block) in blocks.enumerated() {
            for (p, value) in block.values.enumerated() { all.append((value, b, p)) }
        }
        if blocks.count > 1 {
            all.sort { ($0.value, $0.block, $0.position) < ($1.value, $1.block, $1.position) }
        }
        values = all.map { scalbn($0.value, exponent) }
        sources = all.map { ($0.block, $0.position) }
    }

    /// The vectors of a range of positions as columns (n × count).
    func vectors(_ range: Range<Int>) throws(LinearAlgebraError) -> Matrix64 {
        // Within a block, positions ascend with the values: those of a range are consecutive.
        var wanted = [Range<Int>](repeating: 0..<0, count: blocks.count)
        for source in sources[range] {
            let sofar = wanted[source.block]
            let lower = sofar.isEmpty ? source.position : sofar.lowerBound
            wanted[source.block] = lower..<(source.position + 1)
        }
        var result =
            blocks.count == 1
            ? Matrix64(uninitializedRows: order, columns: range.count) : Matrix64(rows: order, columns: range.count)
        let target = result.mutableView()
        var columns = [[Int]](repeating: [], count: blocks.count)
        for (column, source) in sources[range].enumerated() { columns[source.block].append(column) }
        for (b, block) in blocks.enumerated() where !wanted[b].isEmpty {
            let rows = target.rows(block.start..<(block.start + block.values.count))
            switch block.kept {
            case .vectors: block.vectors(wanted[b]).transpose(wanted[b], into: rows, columns: columns[b])
            case .ends: try SeparatedVectors(block: block).write(wanted[b], into: rows, columns: columns[b])
            }
        }
        return result
    }
}

extension TridiagonalNode {

    /// Column columns[k] of the target ← the vector of position positions[k].
    func transpose(_ positions: Range<Int>, into target: MutableMatrixView<Double>, columns: [Int]) {
        nonisolated(unsafe) let sources = positions.map {
            vectors.view.base + rowOf[$0 - firstPosition] * vectors.columns
        }
        let tile = 64
        parallelFor((target.rows + tile - 1) / tile) { piece in
            let rows = (piece * tile)..<min((piece + 1) * tile, target.rows)
            for start in stride(from: 0, to: columns.count, by: tile) {
                let chosen = start..<min(start + tile, columns.count)
                for i in rows {
                    let row = target.base + i * target.rowStride
                    for k in chosen { row[columns[k]] = sources[k][i] }
                }
            }
        }
    }
}
