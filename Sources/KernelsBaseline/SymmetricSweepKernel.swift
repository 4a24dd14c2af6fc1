import CPrefetch
import KernelContract

// One pass over the lower triangle of a symmetric matrix: blocks are updated, and while they are in the first-level
// cache multiplied by a panel, as they are and, for the rows of their columns, transposed.
//
// All three products are made of one tile, tileRows × two vectors, whose left side is broadcast from rows or columns of
// a block and whose right side is a strip that is read in order.

private let blockRows = SymmetricSweep.block

#if AVX512 || arch(arm64)
private let tileRows = 8
#else
private let tileRows = 4
#endif

// What becomes of the sums of a tile.
private let storing = 0
private let adding = 1
private let subtracting = 2

var symmetricSweep64: Kernel<SymmetricSweep> {
    Kernel { sweep($0.load(as: SymmetricSweep.self), DoubleVector.self) }
}

var symmetricSweep32: Kernel<SymmetricSweep> {
    Kernel { sweep($0.load(as: SymmetricSweep.self), FloatVector.self) }
}

var tileProduct64: Kernel<TileProduct> {
    Kernel { multiply($0.load(as: TileProduct.self), DoubleVector.self) }
}

var tileProduct32: Kernel<TileProduct> {
    Kernel { multiply($0.load(as: TileProduct.self), FloatVector.self) }
}

var termSum64: Kernel<TermSum> {
    Kernel { sum($0.load(as: TermSum.self), DoubleVector.self) }
}

var termSum32: Kernel<TermSum> {
    Kernel { sum($0.load(as: TermSum.self), FloatVector.self) }
}

/// Row of blocks after row of blocks; what belongs to the columns stays in the second-level cache.
@inline(__always)
private func sweep<V: SIMD>(_ task: SymmetricSweep, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let columnSums = task.columnSums.assumingMemoryBound(to: V.Scalar.self)
    let columns = (task.lastColumn &- task.firstColumn &+ blockRows &- 1) / blockRows &* blockRows
    var index = 0
    while index < columns &* task.width {
        store(V.zero, columnSums + index)
        index &+= V.scalarCount
    }
    var row = task.firstRow
    while row < task.lastRow {
        var column = task.firstColumn
        while column < min(task.lastColumn, row &+ 1) {
            update(task, row, column, V.self)
            multiplyRows(task, row, column, V.self)
            if column < row { multiplyColumns(task, row, column, V.self) }
            column &+= blockRows
        }
        row &+= blockRows
    }
}

/// A ← A − U Wᵀ for the block at (row, column), and its copy to `work`, whole where it lies on the diagonal.
@inline(__always)
private func update<V: SIMD>(_ task: SymmetricSweep, _ row: Int, _ column: Int, _: V.Type)
where V.Scalar: BinaryFloatingPoint {
    let stripColumns = 2 &* V.scalarCount
    let a = task.a.assumingMemoryBound(to: V.Scalar.self) + (row &* task.rowStride &+ column)
    let work = task.work.assumingMemoryBound(to: V.Scalar.self)
    let isWhole = column < row && row &+ blockRows <= task.size
    if task.depth > 0 {
        let u = task.u.assumingMemoryBound(to: V.Scalar.self) + row &* task.depth
        let w = task.w.assumingMemoryBound(to: V.Scalar.self)
        var j = 0
        while j < blockRows {
            let strip = w + (column &+ j) &* task.depth
            var i = 0
            while i < blockRows {
                let tile = work + (i &* blockRows &+ j)
                let strides = (row: task.depth, depth: 1, right: stripColumns)
                if isWhole {
                    let corner = a + (i &* task.rowStride &+ j)
                    announceTile(corner, task.rowStride, V.self)
                    multiplyTile(
                        task.depth, u + i &* task.depth, strides, strip, (tile, blockRows, subtracting),
                        (corner, task.rowStride), V.self)
                } else {
                    multiplyTile(
                        task.depth, u + i &* task.depth, strides, strip, (tile, blockRows, storing), (tile, 0), V.self)
                }
                i &+= tileRows
            }
            j &+= stripColumns
        }
    }
    if isWhole && task.depth > 0 { return }
    for i in 0..<min(blockRows, task.size &- row) {
        let target = a + i &* task.rowStride
        let copy = work + i &* blockRows
        for j in 0..<(column == row ? i &+ 1 : blockRows) {
            if task.depth > 0 { target[j] -= copy[j] }
            copy[j] = target[j]
        }
        if column == row {
            for j in 0..<i { work[j &* blockRows &+ i] = copy[j] }
        }
    }
}

/// Asks for a tile of A, which is read and written when its sums are done.
@inline(__always)
private func announceTile<V: SIMD>(_ corner: UnsafeMutablePointer<V.Scalar>, _ stride: Int, _: V.Type) {
    var row = corner
    for _ in 0..<tileRows {
        prefetch_for_writing(row)
        prefetch_for_writing(row + V.scalarCount)
        row += stride
    }
}

/// Where the block starts that comes after the one at (row, column); there may be none.
@inline(__always)
private func nextBlock<V: SIMD>(
    _ task: SymmetricSweep, _ row: Int, _ column: Int, _: V.Type
) -> UnsafePointer<V.Scalar> {
    let isLast = column &+ blockRows >= min(task.lastColumn, row &+ 1)
    let (row, column) = isLast ? (row &+ blockRows, task.firstColumn) : (row, column &+ blockRows)
    return UnsafePointer(task.a.assumingMemoryBound(to: V.Scalar.self)) + (row &* task.rowStride &+ column)
}

/// Asks for rows of the block that comes next, while this one is multiplied; there may be none, which does no harm.
@inline(__always)
private func announceRows<V: SIMD>(_ start: UnsafePointer<V.Scalar>, _ stride: Int, _: V.Type) {
    let line = 64 / MemoryLayout<V.Scalar>.stride
    for i in 0..<tileRows {
        var j = 0
        while j < blockRows {
            prefetch_for_reading(start + (i &* stride &+ j))
            j &+= line
        }
    }
}

/// The sums of a row of blocks: the first product is stored, the others are added.
@inline(__always)
private func multiplyRows<V: SIMD>(_ task: SymmetricSweep, _ row: Int, _ column: Int, _: V.Type)
where V.Scalar: BinaryFloatingPoint {
    let stripColumns = 2 &* V.scalarCount
    let work = task.work.assumingMemoryBound(to: V.Scalar.self)
    let sums = task.rowSums.assumingMemoryBound(to: V.Scalar.self) + (row &- task.firstRow) &* task.width
    let depth = min(blockRows, task.size &- column)
    let next = nextBlock(task, row, column, V.self)
    var j = 0
    while j < task.width {
        let v = task.v.assumingMemoryBound(to: V.Scalar.self) + (j &* task.size &+ column &* stripColumns)
        var i = 0
        while i < blockRows {
            if j == 0 { announceRows(next + i &* task.rowStride, task.rowStride, V.self) }
            let tile = sums + (i &* task.width &+ j)
            let strides = (row: blockRows, depth: 1, right: stripColumns)
            if column == task.firstColumn {
                multiplyTile(
                    depth, work + i &* blockRows, strides, v, (tile, task.width, storing), (tile, 0), V.self)
            } else {
                multiplyTile(
                    depth, work + i &* blockRows, strides, v, (tile, task.width, adding), (tile, 0), V.self)
            }
            i &+= tileRows
        }
        j &+= stripColumns
    }
}

/// Adds the transposed block times v to the sums of its columns.
@inline(__always)
private func multiplyColumns<V: SIMD>(_ task: SymmetricSweep, _ row: Int, _ column: Int, _: V.Type)
where V.Scalar: BinaryFloatingPoint {
    let stripColumns = 2 &* V.scalarCount
    let work = task.work.assumingMemoryBound(to: V.Scalar.self)
    let sums = task.columnSums.assumingMemoryBound(to: V.Scalar.self) + (column &- task.firstColumn) &* task.width
    let depth = min(blockRows, task.size &- row)
    var j = 0
    while j < task.width {
        let v = task.v.assumingMemoryBound(to: V.Scalar.self) + (j &* task.size &+ row &* stripColumns)
        var i = 0
        while i < blockRows {
            let tile = sums + (i &* task.width &+ j)
            let strides = (row: 1, depth: blockRows, right: stripColumns)
            multiplyTile(depth, work + i, strides, v, (tile, task.width, adding), (tile, 0), V.self)
            i &+= tileRows
        }
        j &+= stripColumns
    }
}

@inline(__always)
private func sum<V: SIMD>(_ task: TermSum, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let target = task.target.assumingMemoryBound(to: V.Scalar.self)
    for index in 0..<task.count {
        let term = task.terms[index].assumingMemoryBound(to: V.Scalar.self)
        for i in 0..<task.rows {
            let source = term + i &* task.termStride
            let row = target + i &* task.targetStride
            var j = 0
            while j < task.columns {
                let number: V = index == 0 ? load(source + j) : load(row + j) + load(source + j)
                store(number, row + j)
                j &+= V.scalarCount
            }
        }
    }
}

/// A product of matrices that are small enough for the first-level cache as they lie.
@inline(__always)
private func multiply<V: SIMD>(_ task: TileProduct, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let a = task.a.assumingMemoryBound(to: V.Scalar.self)
    let b = task.b.assumingMemoryBound(to: V.Scalar.self)
    let c = task.c.assumingMemoryBound(to: V.Scalar.self)
    let strides = (row: task.aRowStride, depth: task.aDepthStride, right: task.bStride)
    var j = 0
    while j < task.columns {
        var i = 0
        while i < task.rows {
            let tile = c + (i &* task.cStride &+ j)
            let left = a + i &* task.aRowStride
            switch task.mode {
            case TileProduct.storing:
                multiplyTile(task.depth, left, strides, b + j, (tile, task.cStride, storing), (tile, 0), V.self)
            case TileProduct.adding:
                multiplyTile(task.depth, left, strides, b + j, (tile, task.cStride, adding), (tile, 0), V.self)
            default:
                announceTile(tile, task.cStride, V.self)
                multiplyTile(
                    task.depth, left, strides, b + j, (tile, task.cStride, subtracting), (tile, task.cStride), V.self)
            }
            i &+= tileRows
        }
        j &+= 2 &* V.scalarCount
    }
}

/// out ← a b, or out + a b, or out ← other ← other − a b, for one tile; `out` and `other` come with their row strides.
@inline(__always)
private func multiplyTile<V: SIMD>(
    _ depth: Int, _ a: UnsafePointer<V.Scalar>, _ strides: (row: Int, depth: Int, right: Int),
    _ b: UnsafePointer<V.Scalar>, _ out: (base: UnsafeMutablePointer<V.Scalar>, stride: Int, mode: Int),
    _ other: (base: UnsafeMutablePointer<V.Scalar>, stride: Int), _: V.Type
) where V.Scalar: BinaryFloatingPoint {
    var (c00, c01) = (V.zero, V.zero)
    var (c10, c11) = (V.zero, V.zero)
    var (c20, c21) = (V.zero, V.zero)
    var (c30, c31) = (V.zero, V.zero)
    #if AVX512 || arch(arm64)
    var (c40, c41) = (V.zero, V.zero)
    var (c50, c51) = (V.zero, V.zero)
    var (c60, c61) = (V.zero, V.zero)
    var (c70, c71) = (V.zero, V.zero)
    #endif
    var a = a
    var b = b
    for _ in 0..<depth {
        let (b0, b1): (V, V) = (load(b), load(b + V.scalarCount))
        accumulate(&c00, &c01, a.pointee, b0, b1)
        accumulate(&c10, &c11, (a + strides.row).pointee, b0, b1)
        accumulate(&c20, &c21, (a + 2 &* strides.row).pointee, b0, b1)
        accumulate(&c30, &c31, (a + 3 &* strides.row).pointee, b0, b1)
        #if AVX512 || arch(arm64)
        accumulate(&c40, &c41, (a + 4 &* strides.row).pointee, b0, b1)
        accumulate(&c50, &c51, (a + 5 &* strides.row).pointee, b0, b1)
        accumulate(&c60, &c61, (a + 6 &* strides.row).pointee, b0, b1)
        accumulate(&c70, &c71, (a + 7 &* strides.row).pointee, b0, b1)
        #endif
        a += strides.depth
        b += strides.right
    }
    put(c00, c01, 0, out, other)
    put(c10, c11, 1, out, other)
    put(c20, c21, 2, out, other)
    put(c30, c31, 3, out, other)
    #if AVX512 || arch(arm64)
    put(c40, c41, 4, out, other)
    put(c50, c51, 5, out, other)
    put(c60, c61, 6, out, other)
    put(c70, c71, 7, out, other)
    #endif
}

@inline(__always)
private func accumulate<V: SIMD>(_ c0: inout V, _ c1: inout V, _ a: V.Scalar, _ b0: V, _ b1: V)
where V.Scalar: BinaryFloatingPoint {
    let broadcast = V(repeating: a)
    c0 = multiplyAdd(c0, broadcast, b0)
    c1 = multiplyAdd(c1, broadcast, b1)
}

/// One row of a tile.
@inline(__always)
private func put<V: SIMD>(
    _ c0: V, _ c1: V, _ row: Int, _ out: (base: UnsafeMutablePointer<V.Scalar>, stride: Int, mode: Int),
    _ other: (base: UnsafeMutablePointer<V.Scalar>, stride: Int)
) where V.Scalar: BinaryFloatingPoint {
    let target = out.base + row &* out.stride
    switch out.mode {
    case subtracting:
        let source = other.base + row &* other.stride
        let (r0, r1): (V, V) = (load(source) - c0, load(source + V.scalarCount) - c1)
        store(r0, source)
        store(r1, source + V.scalarCount)
        store(r0, target)
        store(r1, target + V.scalarCount)
    case adding:
        let (r0, r1): (V, V) = (load(target) + c0, load(target + V.scalarCount) + c1)
        store(r0, target)
        store(r1, target + V.scalarCount)
    default:
        store(c0, target)
        store(c1, target + V.scalarCount)
    }
}

@inline(__always)
private func load<V: SIMD>(_ pointer: UnsafePointer<V.Scalar>) -> V {
    UnsafeRawPointer(pointer).loadUnaligned(as: V.self)
}

@inline(__always)
private func store<V: SIMD>(_ value: V, _ pointer: UnsafeMutablePointer<V.Scalar>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: value, as: V.self)
}

@inline(__always)
private func multiplyAdd<V: SIMD>(_ sum: V, _ x: V, _ y: V) -> V where V.Scalar: BinaryFloatingPoint {
    #if FMA || arch(arm64)
    sum.addingProduct(x, y)
    #else
    sum + x * y
    #endif
}
