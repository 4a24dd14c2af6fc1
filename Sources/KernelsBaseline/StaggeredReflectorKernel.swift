import CPrefetch
import KernelContract

// Blocks of reflectors on a panel of vectors: products whose tile stays in registers, with nothing packed, because V, T
// and the rows of the panel fit the first two caches. Each tile sums over the rows or reflectors only that can be other
// than zero in it, and asks for a cache line of what comes next with every step.

#if AVX512 || arch(arm64)
private let tileRows = 8
#else
private let tileRows = 4
#endif

/// Bytes of a cache line.
private let line = 64

var applyStaggeredReflectors64: Kernel<StaggeredReflectors> {
    Kernel { apply($0.load(as: StaggeredReflectors.self), DoubleVector.self) }
}

var applyStaggeredReflectors32: Kernel<StaggeredReflectors> {
    Kernel { apply($0.load(as: StaggeredReflectors.self), FloatVector.self) }
}

var projectReflectorRows64: Kernel<ReflectorRows> {
    Kernel { project($0.load(as: ReflectorRows.self), DoubleVector.self) }
}

var projectReflectorRows32: Kernel<ReflectorRows> {
    Kernel { project($0.load(as: ReflectorRows.self), FloatVector.self) }
}

var subtractReflectorRows64: Kernel<ReflectorRows> {
    Kernel { subtract($0.load(as: ReflectorRows.self), DoubleVector.self) }
}

var subtractReflectorRows32: Kernel<ReflectorRows> {
    Kernel { subtract($0.load(as: ReflectorRows.self), FloatVector.self) }
}

var mixReflectors64: Kernel<ReflectorMixing> {
    Kernel { mix($0.load(as: ReflectorMixing.self), DoubleVector.self) }
}

var mixReflectors32: Kernel<ReflectorMixing> {
    Kernel { mix($0.load(as: ReflectorMixing.self), FloatVector.self) }
}

/// work ← work + Vᵀ x.
@inline(__always)
private func project<V: SIMD>(_ task: ReflectorRows, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let columns = StaggeredReflectors.panelColumns(elementBytes: MemoryLayout<V.Scalar>.stride)
    let v = task.v.assumingMemoryBound(to: V.Scalar.self)
    let x = task.x.assumingMemoryBound(to: V.Scalar.self)
    let work = task.work.assumingMemoryBound(to: V.Scalar.self)
    var column = 0
    while column < columns {
        var q = 0
        while q < task.count {
            let first = min(task.rows, max(0, q &- task.rowsAbove))
            multiplyTile(
                task.rows &- first, v + (first &* task.count &+ q), (1, task.count), x + (first &* columns &+ column),
                (work + (q &* columns &+ column), columns, 1, ahead(task, q / tileRows, V.self)), V.self)
            q &+= tileRows
        }
        column &+= 3 &* V.scalarCount
    }
}

/// x ← x − V work.
@inline(__always)
private func subtract<V: SIMD>(_ task: ReflectorRows, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let columns = StaggeredReflectors.panelColumns(elementBytes: MemoryLayout<V.Scalar>.stride)
    let v = task.v.assumingMemoryBound(to: V.Scalar.self)
    let x = task.x.assumingMemoryBound(to: V.Scalar.self)
    let work = task.work.assumingMemoryBound(to: V.Scalar.self)
    var column = 0
    while column < columns {
        var row = 0
        while row < task.rows {
            multiplyTile(
                min(task.count, task.rowsAbove &+ row &+ tileRows), v + row &* task.count, (task.count, 1),
                work + column, (x + (row &* columns &+ column), columns, -1, ahead(task, row / tileRows, V.self)),
                V.self)
            row &+= tileRows
        }
        column &+= 3 &* V.scalarCount
    }
}

/// What a tile asks for: V comes first and then x, in the order of the tiles.
@inline(__always)
private func ahead<V: SIMD>(_ task: ReflectorRows, _ tile: Int, _: V.Type) -> UnsafeRawPointer {
    let done = tile &* task.rows &* line
    let factors = task.rows &* task.count &* MemoryLayout<V.Scalar>.stride
    return done < factors ? task.nextV + done : task.nextX + (done &- factors)
}

/// work ← T work.
@inline(__always)
private func mix<V: SIMD>(_ task: ReflectorMixing, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let columns = StaggeredReflectors.panelColumns(elementBytes: MemoryLayout<V.Scalar>.stride)
    let t = task.t.assumingMemoryBound(to: V.Scalar.self)
    let work = task.work.assumingMemoryBound(to: V.Scalar.self)
    var column = 0
    while column < columns {
        mix(t, task.count, work + column, columns, V.self)
        column &+= 3 &* V.scalarCount
    }
}

@inline(__always)
private func apply<V: SIMD>(_ task: StaggeredReflectors, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let columns = StaggeredReflectors.panelColumns(elementBytes: MemoryLayout<V.Scalar>.stride)
    var column = 0
    while column < columns {
        project(task, column, columns, V.self)
        mix(
            task.t.assumingMemoryBound(to: V.Scalar.self), task.count,
            task.work.assumingMemoryBound(to: V.Scalar.self) + column, columns, V.self)
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
    var asked = 0
    while q < task.count {
        let depth = min(task.length &+ tileRows, task.length &+ task.count &- q)
        multiplyTile(
            depth, v + (q &* task.count &+ q), (1, task.count), x + q &* columns,
            (work + q &* columns, columns, 0, task.nextV + asked &* line), V.self)
        asked &+= depth
        q &+= tileRows
    }
}

/// work ← T work, from the top, as a row needs only itself and those below.
@inline(__always)
private func mix<V: SIMD>(
    _ t: UnsafePointer<V.Scalar>, _ count: Int, _ work: UnsafeMutablePointer<V.Scalar>, _ columns: Int, _: V.Type
) where V.Scalar: BinaryFloatingPoint {
    var q = 0
    while q < count {
        multiplyTile(
            count &- q, t + (q &* count &+ q), (count, 1), work + q &* columns,
            (work + q &* columns, columns, 0, UnsafeRawPointer(t)), V.self)
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
    var asked = 0
    while row < task.length &+ task.count {
        let first = max(0, row &- task.length &+ 1)
        let end = min(task.count, row &+ tileRows)
        multiplyTile(
            end &- first, v + (row &* task.count &+ first), (task.count, 1), work + first &* columns,
            (x + row &* columns, columns, -1, task.nextX + asked &* line), V.self)
        asked &+= end &- first
        row &+= tileRows
    }
}

/// Where a tile goes: the first row of it, columns of the panel, what becomes of its numbers there (0: they are
/// replaced, 1: the tile is added, −1: subtracted), and memory of which a cache line is asked for with every step.
private typealias Target<Scalar> = (
    out: UnsafeMutablePointer<Scalar>, columns: Int, sign: Int, ahead: UnsafeRawPointer
)

/// a b for one tile: a (tileRows × depth) with any strides, b and the result rows of a panel.
@inline(__always)
private func multiplyTile<V: SIMD>(
    _ depth: Int, _ a: UnsafePointer<V.Scalar>, _ strides: (row: Int, depth: Int), _ b: UnsafePointer<V.Scalar>,
    _ target: Target<V.Scalar>, _: V.Type
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
    var ahead = target.ahead
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
        prefetch_for_reading(ahead)
        a += strides.depth
        b += target.columns
        ahead += line
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
    var ahead = target.ahead
    for _ in 0..<depth {
        let (b0, b1, b2): (V, V, V) = (load(b), load(b + lanes), load(b + 2 &* lanes))
        accumulate(&c00, &c01, &c02, a.pointee, b0, b1, b2)
        accumulate(&c10, &c11, &c12, (a + strides.row).pointee, b0, b1, b2)
        accumulate(&c20, &c21, &c22, (a + 2 &* strides.row).pointee, b0, b1, b2)
        accumulate(&c30, &c31, &c32, (a + 3 &* strides.row).pointee, b0, b1, b2)
        prefetch_for_reading(ahead)
        a += strides.depth
        b += target.columns
        ahead += line
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
    _ c0: V, _ c1: V, _ c2: V, _ row: Int, _ target: Target<V.Scalar>
) where V.Scalar: BinaryFloatingPoint {
    let out = target.out + row &* target.columns
    put(c0, out, target.sign)
    put(c1, out + V.scalarCount, target.sign)
    put(c2, out + 2 &* V.scalarCount, target.sign)
}

@inline(__always)
private func put<V: SIMD>(_ value: V, _ out: UnsafeMutablePointer<V.Scalar>, _ sign: Int)
where V.Scalar: BinaryFloatingPoint {
    store(sign == 0 ? value : sign > 0 ? load(out) + value : load(out) - value, out)
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
