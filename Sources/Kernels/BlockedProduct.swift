import KernelContract
import MatrixCore

/// The general product: packs panels of both operands, then shares out the tiles of c.
///
/// - Cost: 2 · rows · columns · depth operations; scratch is two panels, (rows + columns) · depth of a block.
/// - Source: the loops of Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", TOMS 34(3), with
///   the roles of L1 and L2 exchanged (see `Blocking`).
struct BlockedProduct {
    private let product: Product
    private let kernels: KernelSet.Arithmetic
    private let blocking: Blocking
    private let bytes: Int
    /// Below this many operations, waking another thread costs more than it saves.
    private static let smallestShared = 2_000_000
    /// Of fewer blocks than this, all are halved, so that sharing them out is even.
    private static let fewestBlocks = 16
    /// The last blocks, and the pieces that each is cut into, so that the end keeps no thread waiting for long.
    private static let lastBlocks = (count: 4, pieces: 4)

    init(_ product: Product, _ set: InstructionSet) {
        self.product = product
        kernels = product.c.type == .float64 ? set.kernels.float64 : set.kernels.float32
        blocking = Blocking.table(set, product.c.type)
        bytes = product.c.type.bytes
    }

    func run() {
        let depths = evenPieces(product.a.columns, limit: blocking.depth, unit: 1)
        let rowPanels = evenPieces(product.c.rows, limit: blocking.panel, unit: kernels.tile.rows)
        let columnPanels = evenPieces(product.c.columns, limit: blocking.panel, unit: kernels.tile.columns)
        let longest = depths.first?.count ?? 0
        let aBytes = panelBytes(rowPanels[0].count, kernels.tile.rows, longest)
        let bBytes = panelBytes(columnPanels[0].count, kernels.tile.columns, longest)
        let tileBytes = (kernels.tile.rows * kernels.tile.columns * bytes + 63) / 64 * 64
        Scratch.withMemory(bytes: aBytes + bBytes + tileBytes * Threads.count) { memory in
            let panels = Panels(a: memory, b: memory + aBytes, tiles: memory + aBytes + bBytes, tileBytes: tileBytes)
            for columns in columnPanels {
                for rows in rowPanels {
                    if depths.isEmpty {
                        multiply(rows, columns, 0..<0, isFirst: true, panels)
                    }
                    for depth in depths {
                        pack(rows, columns, depth, panels)
                        multiply(rows, columns, depth, isFirst: depth.lowerBound == 0, panels)
                    }
                }
            }
        }
    }

    private struct Panels: @unchecked Sendable {
        /// Packed a (rows × depth)
        var a: UnsafeMutableRawPointer
        /// Packed b (depth × columns)
        var b: UnsafeMutableRawPointer
        /// One tile for each worker.
        var tiles: UnsafeMutableRawPointer
        var tileBytes: Int
    }

    private func panelBytes(_ count: Int, _ width: Int, _ depth: Int) -> Int {
        ((count + width - 1) / width * width * depth * bytes + 63) / 64 * 64
    }

    private func share(_ count: Int, _ operations: Int, _ body: @Sendable (_ index: Int, _ worker: Int) -> Void) {
        if operations < Self.smallestShared {
            for index in 0..<count { body(index, 0) }
        } else {
            parallelFor(count, body)
        }
    }

    private func pack(_ rows: Range<Int>, _ columns: Range<Int>, _ depth: Range<Int>, _ panels: Panels) {
        let a = product.a.block(rows: rows, columns: depth)
        let b = product.b.block(rows: depth, columns: columns).transposed
        let aGroup = kernels.tile.rows * 16
        let bGroup = kernels.tile.columns * 8
        let aGroups = (rows.count + aGroup - 1) / aGroup
        let bGroups = (columns.count + bGroup - 1) / bGroup
        share(aGroups + bGroups, 2 * rows.count * columns.count * depth.count) { index, _ in
            if index < aGroups {
                let start = index * aGroup
                packStrips(a.rows(start..<min(start + aGroup, a.rows)), kernels.packRows, panels.a + start * depth.count * bytes)
            } else {
                let start = (index - aGroups) * bGroup
                packStrips(
                    b.rows(start..<min(start + bGroup, b.rows)), kernels.packColumns, panels.b + start * depth.count * bytes)
            }
        }
    }

    private func packStrips(_ source: MatrixOperand, _ pack: Kernel<StripPacking>, _ target: UnsafeMutableRawPointer) {
        pack(
            StripPacking(
                source: source.base, format: source.type.format, acrossStride: source.rowStride,
                alongStride: source.columnStride, across: source.rows, depth: source.columns, target: target))
    }

    /// A part of the rows of one of the last blocks.
    private func piece(_ index: Int, of rows: Range<Int>) -> Range<Int> {
        let tiles = (rows.count + kernels.tile.rows - 1) / kernels.tile.rows
        let height = (tiles + Self.lastBlocks.pieces - 1) / Self.lastBlocks.pieces * kernels.tile.rows
        let start = min(rows.lowerBound + index * height, rows.upperBound)
        return start..<min(start + height, rows.upperBound)
    }

    private func multiply(
        _ rows: Range<Int>, _ columns: Range<Int>, _ depth: Range<Int>, isFirst: Bool, _ panels: Panels
    ) {
        let rowBlocks = evenPieces(rows.count, limit: blocking.blockRows, unit: kernels.tile.rows)
        let wideBlocks = evenPieces(columns.count, limit: blocking.blockColumns, unit: kernels.tile.columns)
        let columnBlocks =
            rowBlocks.count * wideBlocks.count >= Self.fewestBlocks
            ? wideBlocks
            : evenPieces(columns.count, limit: blocking.blockColumns / 2, unit: kernels.tile.columns)
        let operations = 2 * rows.count * columns.count * depth.count
        let blocks = rowBlocks.count * columnBlocks.count
        let uncut = max(0, blocks - Self.lastBlocks.count)
        // Neighbours in the order of work share the block of b, which is then still in a cache.
        share(uncut + (blocks - uncut) * Self.lastBlocks.pieces, operations) { index, worker in
            let block = index < uncut ? index : uncut + (index - uncut) / Self.lastBlocks.pieces
            var blockRows = rowBlocks[block % rowBlocks.count]
            let blockColumns = columnBlocks[block / rowBlocks.count]
            if index >= uncut {
                blockRows = piece((index - uncut) % Self.lastBlocks.pieces, of: blockRows)
                if blockRows.isEmpty { return }
            }
            let row = rows.lowerBound + blockRows.lowerBound
            let column = columns.lowerBound + blockColumns.lowerBound
            var task = BlockProduct(
                a: panels.a + blockRows.lowerBound * depth.count * bytes,
                b: panels.b + blockColumns.lowerBound * depth.count * bytes,
                c: product.c.base + (row * product.c.rowStride + column * product.c.columnStride) * bytes,
                rows: blockRows.count, columns: blockColumns.count, depth: depth.count,
                rowStride: product.c.rowStride, columnStride: product.c.columnStride,
                alpha: product.alpha, beta: isFirst ? product.beta : 1, scratch: panels.tiles + worker * panels.tileBytes)
            task.region = product.region.code
            task.diagonal = row - column
            kernels.multiplyBlock(task)
        }
    }
}

extension ElementType {
    /// As it crosses the border to the kernels.
    var format: Int {
        switch self {
        case .float64: StorageFormat.float64
        case .float32: StorageFormat.float32
        case .bfloat16: StorageFormat.bfloat16
        case .float16: StorageFormat.float16
        }
    }
}

extension MutableMatrixOperand {
    var transposed: Self {
        Self(base: base, type: type, rows: columns, columns: rows, rowStride: columnStride, columnStride: rowStride, owner: owner)
    }
}
