import CPrefetch
import KernelContract

// A symmetric matrix on a panel: blocks below the diagonal serve as they are and, for the rows above them, transposed.
// Each block is copied to the first-level cache once and read from there in either direction.

private let blockRows = SymmetricRowsProduct.blockRows

#if AVX512 || arch(arm64)
private let tileRows = 8
#else
private let tileRows = 4
#endif

var symmetricRowsProduct64: Kernel<SymmetricRowsProduct> {
    Kernel { multiply($0.load(as: SymmetricRowsProduct.self), DoubleVector.self) }
}

var symmetricRowsProduct32: Kernel<SymmetricRowsProduct> {
    Kernel { multiply($0.load(as: SymmetricRowsProduct.self), FloatVector.self) }
}

@inline(__always)
private func multiply<V: SIMD>(_ task: SymmetricRowsProduct, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let rows = min(blockRows, task.size &- task.firstRow)
    var column = 0
    while column < task.size {
        let columns = min(blockRows, task.size &- column)
        if column > task.firstRow {
            copy(task, row: column, column: task.firstRow, rows: columns, columns: rows, V.self)
            multiplyBlock(task, (1, blockRows), first: column, depth: columns, V.self)
        } else {
            copy(task, row: task.firstRow, column: column, rows: rows, columns: columns, V.self)
            if column == task.firstRow { mirror(task.work.assumingMemoryBound(to: V.Scalar.self), rows) }
            multiplyBlock(task, (blockRows, 1), first: column, depth: columns, V.self)
        }
        column &+= blockRows
    }
}

/// work ← a rectangle of A.
@inline(__always)
private func copy<V: SIMD>(
    _ task: SymmetricRowsProduct, row: Int, column: Int, rows: Int, columns: Int, _: V.Type
) {
    let lanes = V.scalarCount
    let a = task.a.assumingMemoryBound(to: V.Scalar.self)
    let work = task.work.assumingMemoryBound(to: V.Scalar.self)
    for i in 0..<rows {
        let source = a + ((row &+ i) &* task.rowStride &+ column)
        let target = work + i &* blockRows
        var j = 0
        while j &+ lanes <= columns {
            let numbers: V = load(source + j)
            store(numbers, target + j)
            j &+= lanes
        }
        while j < columns {
            target[j] = source[j]
            j &+= 1
        }
    }
}

@inline(__always)
private func mirror<Scalar>(_ block: UnsafeMutablePointer<Scalar>, _ rows: Int) {
    for i in 0..<rows {
        for j in 0..<i { block[j &* blockRows &+ i] = block[i &* blockRows &+ j] }
    }
}

/// Adds work · v, or workᵀ · v, to the rows of y; the first product is stored.
@inline(__always)
private func multiplyBlock<V: SIMD>(
    _ task: SymmetricRowsProduct, _ strides: (row: Int, depth: Int), first: Int, depth: Int, _: V.Type
) where V.Scalar: BinaryFloatingPoint {
    let lanes = V.scalarCount
    let work = task.work.assumingMemoryBound(to: V.Scalar.self)
    let v = task.v.assumingMemoryBound(to: V.Scalar.self) + first &* task.panelStride
    let y = task.y.assumingMemoryBound(to: V.Scalar.self) + task.firstRow &* task.panelStride
    let next = corner(task, column: first &+ blockRows, V.self)
    var column = 0
    while column < task.width {
        // Where a single vector is left, it is computed twice.
        let second = column &+ 2 &* lanes <= task.width ? lanes : 0
        var row = 0
        while row < blockRows {
            if column == 0 { announceRows(next + row &* task.rowStride, task.rowStride, V.self) }
            multiplyTile(
                depth, work + row &* strides.row, strides, v + column, y + (row &* task.panelStride &+ column),
                (task.panelStride, second), add: first > 0, V.self)
            row &+= tileRows
        }
        column &+= second &+ lanes
    }
}

/// Where the block of a column starts that is copied for it.
@inline(__always)
private func corner<V: SIMD>(_ task: SymmetricRowsProduct, column: Int, _: V.Type) -> UnsafePointer<V.Scalar> {
    let isBelow = column > task.firstRow
    let (row, column) = (isBelow ? column : task.firstRow, isBelow ? task.firstRow : column)
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

/// out ← a b, or out + a b, for one tile of two vectors, the second `second` columns after the first.
@inline(__always)
private func multiplyTile<V: SIMD>(
    _ depth: Int, _ a: UnsafePointer<V.Scalar>, _ strides: (row: Int, depth: Int), _ b: UnsafePointer<V.Scalar>,
    _ out: UnsafeMutablePointer<V.Scalar>, _ shape: (width: Int, second: Int), add: Bool, _: V.Type
) where V.Scalar: BinaryFloatingPoint {
    let (width, second) = shape
    #if AVX512 || arch(arm64)
    var (c00, c01) = (V.zero, V.zero)
    var (c10, c11) = (V.zero, V.zero)
    var (c20, c21) = (V.zero, V.zero)
    var (c30, c31) = (V.zero, V.zero)
    var (c40, c41) = (V.zero, V.zero)
    var (c50, c51) = (V.zero, V.zero)
    var (c60, c61) = (V.zero, V.zero)
    var (c70, c71) = (V.zero, V.zero)
    var a = a
    var b = b
    for _ in 0..<depth {
        let (b0, b1): (V, V) = (load(b), load(b + second))
        accumulate(&c00, &c01, a.pointee, b0, b1)
        accumulate(&c10, &c11, (a + strides.row).pointee, b0, b1)
        accumulate(&c20, &c21, (a + 2 &* strides.row).pointee, b0, b1)
        accumulate(&c30, &c31, (a + 3 &* strides.row).pointee, b0, b1)
        accumulate(&c40, &c41, (a + 4 &* strides.row).pointee, b0, b1)
        accumulate(&c50, &c51, (a + 5 &* strides.row).pointee, b0, b1)
        accumulate(&c60, &c61, (a + 6 &* strides.row).pointee, b0, b1)
        accumulate(&c70, &c71, (a + 7 &* strides.row).pointee, b0, b1)
        a += strides.depth
        b += width
    }
    put(c00, c01, out, second, add)
    put(c10, c11, out + width, second, add)
    put(c20, c21, out + 2 &* width, second, add)
    put(c30, c31, out + 3 &* width, second, add)
    put(c40, c41, out + 4 &* width, second, add)
    put(c50, c51, out + 5 &* width, second, add)
    put(c60, c61, out + 6 &* width, second, add)
    put(c70, c71, out + 7 &* width, second, add)
    #else
    var (c00, c01) = (V.zero, V.zero)
    var (c10, c11) = (V.zero, V.zero)
    var (c20, c21) = (V.zero, V.zero)
    var (c30, c31) = (V.zero, V.zero)
    var a = a
    var b = b
    for _ in 0..<depth {
        let (b0, b1): (V, V) = (load(b), load(b + second))
        accumulate(&c00, &c01, a.pointee, b0, b1)
        accumulate(&c10, &c11, (a + strides.row).pointee, b0, b1)
        accumulate(&c20, &c21, (a + 2 &* strides.row).pointee, b0, b1)
        accumulate(&c30, &c31, (a + 3 &* strides.row).pointee, b0, b1)
        a += strides.depth
        b += width
    }
    put(c00, c01, out, second, add)
    put(c10, c11, out + width, second, add)
    put(c20, c21, out + 2 &* width, second, add)
    put(c30, c31, out + 3 &* width, second, add)
    #endif
}

@inline(__always)
private func accumulate<V: SIMD>(_ c0: inout V, _ c1: inout V, _ a: V.Scalar, _ b0: V, _ b1: V)
where V.Scalar: BinaryFloatingPoint {
    let broadcast = V(repeating: a)
    c0 = multiplyAdd(c0, broadcast, b0)
    c1 = multiplyAdd(c1, broadcast, b1)
}

@inline(__always)
private func put<V: SIMD>(_ c0: V, _ c1: V, _ out: UnsafeMutablePointer<V.Scalar>, _ second: Int, _ add: Bool)
where V.Scalar: BinaryFloatingPoint {
    // Both are read before either is written, because they may be the same.
    let (r0, r1): (V, V) = add ? (load(out) + c0, load(out + second) + c1) : (c0, c1)
    store(r0, out)
    store(r1, out + second)
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
