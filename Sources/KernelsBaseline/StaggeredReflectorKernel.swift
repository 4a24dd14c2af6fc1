import KernelContract

// Blocks of staggered reflectors on a panel of vectors: three products whose tile stays in registers, with nothing
// packed, because V, T and the panel fit the first two caches. Each tile sums over the rows or reflectors only that can
// be other than zero in it.

private let lanes = DoubleVector.scalarCount
private let columns = StaggeredReflectors.panelColumns

#if AVX512 || arch(arm64)
private let tileRows = 8
#else
private let tileRows = 4
#endif

var applyStaggeredReflectors: Kernel<StaggeredReflectors> {
    Kernel { apply($0.load(as: StaggeredReflectors.self)) }
}

@inline(__always)
private func apply(_ task: StaggeredReflectors) {
    var column = 0
    while column < columns {
        project(task, column)
        mix(task, column)
        subtract(task, column)
        column &+= 3 &* lanes
    }
}

/// work ← Vᵀ x.
@inline(__always)
private func project(_ task: StaggeredReflectors, _ column: Int) {
    var q = 0
    while q < task.count {
        let depth = min(task.length &+ tileRows, task.length &+ task.count &- q)
        multiplyTile(
            depth, task.v + (q &* task.count &+ q), (1, task.count), task.x + (q &* columns &+ column),
            task.work + (q &* columns &+ column), subtract: false)
        q &+= tileRows
    }
}

/// work ← T work, from the top, as a row needs only itself and those below.
@inline(__always)
private func mix(_ task: StaggeredReflectors, _ column: Int) {
    var q = 0
    while q < task.count {
        multiplyTile(
            task.count &- q, task.t + (q &* task.count &+ q), (task.count, 1), task.work + (q &* columns &+ column),
            task.work + (q &* columns &+ column), subtract: false)
        q &+= tileRows
    }
}

/// x ← x − V work.
@inline(__always)
private func subtract(_ task: StaggeredReflectors, _ column: Int) {
    var row = 0
    while row < task.length &+ task.count {
        let first = max(0, row &- task.length &+ 1)
        let end = min(task.count, row &+ tileRows)
        multiplyTile(
            end &- first, task.v + (row &* task.count &+ first), (task.count, 1),
            task.work + (first &* columns &+ column), task.x + (row &* columns &+ column), subtract: true)
        row &+= tileRows
    }
}

/// out ← a b, or out − a b, for one tile: a (tileRows × depth) with any strides, b and out rows of a panel.
@inline(__always)
private func multiplyTile(
    _ depth: Int, _ a: UnsafePointer<Double>, _ strides: (row: Int, depth: Int), _ b: UnsafePointer<Double>,
    _ out: UnsafeMutablePointer<Double>, subtract: Bool
) {
    #if AVX512 || arch(arm64)
    var (c00, c01, c02) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
    var (c10, c11, c12) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
    var (c20, c21, c22) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
    var (c30, c31, c32) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
    var (c40, c41, c42) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
    var (c50, c51, c52) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
    var (c60, c61, c62) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
    var (c70, c71, c72) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
    var a = a
    var b = b
    for _ in 0..<depth {
        let (b0, b1, b2) = (load(b), load(b + lanes), load(b + 2 &* lanes))
        accumulate(&c00, &c01, &c02, a.pointee, b0, b1, b2)
        accumulate(&c10, &c11, &c12, (a + strides.row).pointee, b0, b1, b2)
        accumulate(&c20, &c21, &c22, (a + 2 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c30, &c31, &c32, (a + 3 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c40, &c41, &c42, (a + 4 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c50, &c51, &c52, (a + 5 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c60, &c61, &c62, (a + 6 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c70, &c71, &c72, (a + 7 &* strides.row).pointee, b0, b1, b2)
        a += strides.depth
        b += StaggeredReflectors.panelColumns
    }
    put(c00, c01, c02, out, subtract)
    put(c10, c11, c12, out + columns, subtract)
    put(c20, c21, c22, out + 2 &* columns, subtract)
    put(c30, c31, c32, out + 3 &* columns, subtract)
    put(c40, c41, c42, out + 4 &* columns, subtract)
    put(c50, c51, c52, out + 5 &* columns, subtract)
    put(c60, c61, c62, out + 6 &* columns, subtract)
    put(c70, c71, c72, out + 7 &* columns, subtract)
    #else
    var (c00, c01, c02) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
    var (c10, c11, c12) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
    var (c20, c21, c22) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
    var (c30, c31, c32) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
    var a = a
    var b = b
    for _ in 0..<depth {
        let (b0, b1, b2) = (load(b), load(b + lanes), load(b + 2 &* lanes))
        accumulate(&c00, &c01, &c02, a.pointee, b0, b1, b2)
        accumulate(&c10, &c11, &c12, (a + strides.row).pointee, b0, b1, b2)
        accumulate(&c20, &c21, &c22, (a + 2 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c30, &c31, &c32, (a + 3 &* strides.row).pointee, b0, b1, b2)
        a += strides.depth
        b += StaggeredReflectors.panelColumns
    }
    put(c00, c01, c02, out, subtract)
    put(c10, c11, c12, out + columns, subtract)
    put(c20, c21, c22, out + 2 &* columns, subtract)
    put(c30, c31, c32, out + 3 &* columns, subtract)
    #endif
}

@inline(__always)
private func accumulate(
    _ c0: inout DoubleVector, _ c1: inout DoubleVector, _ c2: inout DoubleVector, _ a: Double, _ b0: DoubleVector,
    _ b1: DoubleVector, _ b2: DoubleVector
) {
    let broadcast = DoubleVector(repeating: a)
    c0 = multiplyAdd(c0, broadcast, b0)
    c1 = multiplyAdd(c1, broadcast, b1)
    c2 = multiplyAdd(c2, broadcast, b2)
}

@inline(__always)
private func put(
    _ c0: DoubleVector, _ c1: DoubleVector, _ c2: DoubleVector, _ out: UnsafeMutablePointer<Double>, _ subtract: Bool
) {
    store(subtract ? load(out) - c0 : c0, out)
    store(subtract ? load(out + lanes) - c1 : c1, out + lanes)
    store(subtract ? load(out + 2 &* lanes) - c2 : c2, out + 2 &* lanes)
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
