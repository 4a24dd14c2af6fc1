import KernelContract

// Blocks of staggered reflectors on a panel of vectors: three products whose tile stays in registers, with nothing
// packed, because V, T and the panel fit the first two caches. Each tile sums over the rows or reflectors only that can
// be other than zero in it.

#if AVX512 || arch(arm64)
private let tileRows = 8
#else
private let tileRows = 4
#endif

var applyStaggeredReflectors64: Kernel<StaggeredReflectors> {
    Kernel { apply($0.load(as: StaggeredReflectors.self), DoubleVector.self) }
}

var applyStaggeredReflectors32: Kernel<StaggeredReflectors> {
    Kernel { apply($0.load(as: StaggeredReflectors.self), FloatVector.self) }
}

@inline(__always)
private func apply<V: SIMD>(_ task: StaggeredReflectors, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let columns = StaggeredReflectors.panelColumns(elementBytes: MemoryLayout<V.Scalar>.stride)
    var column = 0
    while column < columns {
        project(task, column, columns, V.self)
        mix(task, column, columns, V.self)
        subtract(task, column, columns, V.self)
        column &+= 3 &* V.scalarCount
    }
}

/// work ← Vᵀ x.
@inline(__always)
private func project<V: SIMD>(_ task: StaggeredReflectors, _ column: Int, _ columns: Int, _: V.Type)
where V.Scalar: BinaryFloatingPoint {
    let v = task.v.assumingMemoryBound(to: V.Scalar.self)
    let x = task.x.assumingMemoryBound(to: V.Scalar.self) + column
    let work = task.work.assumingMemoryBound(to: V.Scalar.self) + column
    var q = 0
    while q < task.count {
        let depth = min(task.length &+ tileRows, task.length &+ task.count &- q)
        multiplyTile(
            depth, v + (q &* task.count &+ q), (1, task.count), x + q &* columns, (work + q &* columns, columns, false),
            V.self)
        q &+= tileRows
    }
}

/// work ← T work, from the top, as a row needs only itself and those below.
@inline(__always)
private func mix<V: SIMD>(_ task: StaggeredReflectors, _ column: Int, _ columns: Int, _: V.Type)
where V.Scalar: BinaryFloatingPoint {
    let t = task.t.assumingMemoryBound(to: V.Scalar.self)
    let work = task.work.assumingMemoryBound(to: V.Scalar.self) + column
    var q = 0
    while q < task.count {
        multiplyTile(
            task.count &- q, t + (q &* task.count &+ q), (task.count, 1), work + q &* columns,
            (work + q &* columns, columns, false), V.self)
        q &+= tileRows
    }
}

/// x ← x − V work.
@inline(__always)
private func subtract<V: SIMD>(_ task: StaggeredReflectors, _ column: Int, _ columns: Int, _: V.Type)
where V.Scalar: BinaryFloatingPoint {
    let v = task.v.assumingMemoryBound(to: V.Scalar.self)
    let x = task.x.assumingMemoryBound(to: V.Scalar.self) + column
    let work = task.work.assumingMemoryBound(to: V.Scalar.self) + column
    var row = 0
    while row < task.length &+ task.count {
        let first = max(0, row &- task.length &+ 1)
        let end = min(task.count, row &+ tileRows)
        multiplyTile(
            end &- first, v + (row &* task.count &+ first), (task.count, 1), work + first &* columns,
            (x + row &* columns, columns, true), V.self)
        row &+= tileRows
    }
}

/// out ← a b, or out − a b, for one tile: a (tileRows × depth) with any strides, b and out rows of a panel; `target`
/// is (out, columns of the panel, whether to subtract).
@inline(__always)
private func multiplyTile<V: SIMD>(
    _ depth: Int, _ a: UnsafePointer<V.Scalar>, _ strides: (row: Int, depth: Int), _ b: UnsafePointer<V.Scalar>,
    _ target: (out: UnsafeMutablePointer<V.Scalar>, columns: Int, subtract: Bool), _: V.Type
) where V.Scalar: BinaryFloatingPoint {
    let lanes = V.scalarCount
    #if AVX512 || arch(arm64)
    var (c00, c01, c02) = (V.zero, V.zero, V.zero)
    var (c10, c11, c12) = (V.zero, V.zero, V.zero)
    var (c20, c21, c22) = (V.zero, V.zero, V.zero)
    var (c30, c31, c32) = (V.zero, V.zero, V.zero)
    var (c40, c41, c42) = (V.zero, V.zero, V.zero)
    var (c50, c51, c52) = (V.zero, V.zero, V.zero)
    var (c60, c61, c62) = (V.zero, V.zero, V.zero)
    var (c70, c71, c72) = (V.zero, V.zero, V.zero)
    var a = a
    var b = b
    for _ in 0..<depth {
        let (b0, b1, b2): (V, V, V) = (load(b), load(b + lanes), load(b + 2 &* lanes))
        accumulate(&c00, &c01, &c02, a.pointee, b0, b1, b2)
        accumulate(&c10, &c11, &c12, (a + strides.row).pointee, b0, b1, b2)
        accumulate(&c20, &c21, &c22, (a + 2 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c30, &c31, &c32, (a + 3 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c40, &c41, &c42, (a + 4 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c50, &c51, &c52, (a + 5 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c60, &c61, &c62, (a + 6 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c70, &c71, &c72, (a + 7 &* strides.row).pointee, b0, b1, b2)
        a += strides.depth
        b += target.columns
    }
    put(c00, c01, c02, 0, target)
    put(c10, c11, c12, 1, target)
    put(c20, c21, c22, 2, target)
    put(c30, c31, c32, 3, target)
    put(c40, c41, c42, 4, target)
    put(c50, c51, c52, 5, target)
    put(c60, c61, c62, 6, target)
    put(c70, c71, c72, 7, target)
    #else
    var (c00, c01, c02) = (V.zero, V.zero, V.zero)
    var (c10, c11, c12) = (V.zero, V.zero, V.zero)
    var (c20, c21, c22) = (V.zero, V.zero, V.zero)
    var (c30, c31, c32) = (V.zero, V.zero, V.zero)
    var a = a
    var b = b
    for _ in 0..<depth {
        let (b0, b1, b2): (V, V, V) = (load(b), load(b + lanes), load(b + 2 &* lanes))
        accumulate(&c00, &c01, &c02, a.pointee, b0, b1, b2)
        accumulate(&c10, &c11, &c12, (a + strides.row).pointee, b0, b1, b2)
        accumulate(&c20, &c21, &c22, (a + 2 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c30, &c31, &c32, (a + 3 &* strides.row).pointee, b0, b1, b2)
        a += strides.depth
        b += target.columns
    }
    put(c00, c01, c02, 0, target)
    put(c10, c11, c12, 1, target)
    put(c20, c21, c22, 2, target)
    put(c30, c31, c32, 3, target)
    #endif
}

@inline(__always)
private func accumulate<V: SIMD>(
    _ c0: inout V, _ c1: inout V, _ c2: inout V, _ a: V.Scalar, _ b0: V, _ b1: V, _ b2: V
) where V.Scalar: BinaryFloatingPoint {
    let broadcast = V(repeating: a)
    c0 = multiplyAdd(c0, broadcast, b0)
    c1 = multiplyAdd(c1, broadcast, b1)
    c2 = multiplyAdd(c2, broadcast, b2)
}

@inline(__always)
private func put<V: SIMD>(
    _ c0: V, _ c1: V, _ c2: V, _ row: Int, _ target: (out: UnsafeMutablePointer<V.Scalar>, columns: Int, subtract: Bool)
) where V.Scalar: BinaryFloatingPoint {
    let out = target.out + row &* target.columns
    store(target.subtract ? load(out) - c0 : c0, out)
    store(target.subtract ? load(out + V.scalarCount) - c1 : c1, out + V.scalarCount)
    store(target.subtract ? load(out + 2 &* V.scalarCount) - c2 : c2, out + 2 &* V.scalarCount)
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
