import KernelContract

// A symmetric matrix on a panel: blocks below the diagonal serve as they are and, for the rows above them, transposed.
// Each block is copied to the first-level cache once and read from there in either direction.

private let lanes = DoubleVector.scalarCount
private let blockRows = SymmetricRowsProduct.blockRows

#if AVX512 || arch(arm64)
private let tileRows = 8
#else
private let tileRows = 4
#endif

var symmetricRowsProduct: Kernel<SymmetricRowsProduct> {
    Kernel { multiply($0.load(as: SymmetricRowsProduct.self)) }
}

@inline(__always)
private func multiply(_ task: SymmetricRowsProduct) {
    let rows = min(blockRows, task.size &- task.firstRow)
    var column = 0
    while column < task.size {
        let columns = min(blockRows, task.size &- column)
        if column > task.firstRow {
            copy(task, row: column, column: task.firstRow, rows: columns, columns: rows)
            multiplyBlock(task, (1, blockRows), first: column, depth: columns)
        } else {
            copy(task, row: task.firstRow, column: column, rows: rows, columns: columns)
            if column == task.firstRow { mirror(task.work, rows) }
            multiplyBlock(task, (blockRows, 1), first: column, depth: columns)
        }
        column &+= blockRows
    }
}

/// work ← a rectangle of A.
@inline(__always)
private func copy(_ task: SymmetricRowsProduct, row: Int, column: Int, rows: Int, columns: Int) {
    for i in 0..<rows {
        let source = task.a + ((row &+ i) &* task.rowStride &+ column)
        let target = task.work + i &* blockRows
        var j = 0
        while j &+ lanes <= columns {
            store(load(source + j), target + j)
            j &+= lanes
        }
        while j < columns {
            target[j] = source[j]
            j &+= 1
        }
    }
}

@inline(__always)
private func mirror(_ block: UnsafeMutablePointer<Double>, _ rows: Int) {
    for i in 0..<rows {
        for j in 0..<i { block[j &* blockRows &+ i] = block[i &* blockRows &+ j] }
    }
}

/// Adds work · v, or workᵀ · v, to the rows of y; the first product is stored.
@inline(__always)
private func multiplyBlock(_ task: SymmetricRowsProduct, _ strides: (row: Int, depth: Int), first: Int, depth: Int) {
    let v = task.v + first &* task.width
    let y = task.y + task.firstRow &* task.width
    var column = 0
    while column < task.width {
        // Where a single vector is left, it is computed twice.
        let second = column &+ 2 &* lanes <= task.width ? lanes : 0
        var row = 0
        while row < blockRows {
            multiplyTile(
                depth, task.work + row &* strides.row, strides, v + column, y + (row &* task.width &+ column),
                (task.width, second), add: first > 0)
            row &+= tileRows
        }
        column &+= second &+ lanes
    }
}

/// out ← a b, or out + a b, for one tile of two vectors, the second `second` columns after the first.
@inline(__always)
private func multiplyTile(
    _ depth: Int, _ a: UnsafePointer<Double>, _ strides: (row: Int, depth: Int), _ b: UnsafePointer<Double>,
    _ out: UnsafeMutablePointer<Double>, _ shape: (width: Int, second: Int), add: Bool
) {
    let (width, second) = shape
    #if AVX512 || arch(arm64)
    var (c00, c01) = (DoubleVector.zero, DoubleVector.zero)
    var (c10, c11) = (DoubleVector.zero, DoubleVector.zero)
    var (c20, c21) = (DoubleVector.zero, DoubleVector.zero)
    var (c30, c31) = (DoubleVector.zero, DoubleVector.zero)
    var (c40, c41) = (DoubleVector.zero, DoubleVector.zero)
    var (c50, c51) = (DoubleVector.zero, DoubleVector.zero)
    var (c60, c61) = (DoubleVector.zero, DoubleVector.zero)
    var (c70, c71) = (DoubleVector.zero, DoubleVector.zero)
    var a = a
    var b = b
    for _ in 0..<depth {
        let (b0, b1) = (load(b), load(b + second))
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
    var (c00, c01) = (DoubleVector.zero, DoubleVector.zero)
    var (c10, c11) = (DoubleVector.zero, DoubleVector.zero)
    var (c20, c21) = (DoubleVector.zero, DoubleVector.zero)
    var (c30, c31) = (DoubleVector.zero, DoubleVector.zero)
    var a = a
    var b = b
    for _ in 0..<depth {
        let (b0, b1) = (load(b), load(b + second))
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
private func accumulate(
    _ c0: inout DoubleVector, _ c1: inout DoubleVector, _ a: Double, _ b0: DoubleVector, _ b1: DoubleVector
) {
    let broadcast = DoubleVector(repeating: a)
    c0 = multiplyAdd(c0, broadcast, b0)
    c1 = multiplyAdd(c1, broadcast, b1)
}

@inline(__always)
private func put(
    _ c0: DoubleVector, _ c1: DoubleVector, _ out: UnsafeMutablePointer<Double>, _ second: Int, _ add: Bool
) {
    // Both are read before either is written, because they may be the same.
    let (r0, r1) = add ? (load(out) + c0, load(out + second) + c1) : (c0, c1)
    store(r0, out)
    store(r1, out + second)
}

@inline(__always)
private func load(_ pointer: UnsafePointer<Double>) -> DoubleVector {
    UnsafeRawPointer(pointer).loadUnaligned(as: DoubleVector.self)
}

@inline(__always)
private func store(_ value: DoubleVector, _ pointer: UnsafeMutablePointer<Double>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: value, as: DoubleVector.self)
}

@inline(__always)
private func multiplyAdd(_ sum: DoubleVector, _ x: DoubleVector, _ y: DoubleVector) -> DoubleVector {
    #if FMA || arch(arm64)
    sum.addingProduct(x, y)
    #else
    sum + x * y
    #endif
}
