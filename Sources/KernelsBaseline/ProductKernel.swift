import CPrefetch
import KernelContract

// The block product: a micro-kernel whose tile of c stays in registers, and the loops over the tiles of a block.
//
// A tile is tileRows × two vectors. Every step of the depth loads two vectors of b and broadcasts tileRows elements of a;
// with 28 (or 12) accumulators there are enough independent additions to hide the latency of two units.

#if AVX512 || arch(arm64)
private let tileRows = 14
#else
private let tileRows = 6
#endif

var multiplyBlock32: Kernel<BlockProduct> {
    Kernel { multiplyBlock($0.load(as: BlockProduct.self), FloatVector.self) }
}

var multiplyBlock64: Kernel<BlockProduct> {
    Kernel { multiplyBlock($0.load(as: BlockProduct.self), DoubleVector.self) }
}

/// For each strip of a, which stays in L1, all strips of b, which stay in L2.
@inline(__always)
private func multiplyBlock<V: SIMD>(_ task: BlockProduct, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let tileColumns = 2 &* V.scalarCount
    let a = task.a.assumingMemoryBound(to: V.Scalar.self)
    let b = task.b.assumingMemoryBound(to: V.Scalar.self)
    let c = task.c.assumingMemoryBound(to: V.Scalar.self)
    let scratch = task.scratch.assumingMemoryBound(to: V.Scalar.self)
    let alpha = V.Scalar(task.alpha)
    let beta = V.Scalar(task.beta)
    var row = 0
    while row < task.rows {
        let rows = min(tileRows, task.rows &- row)
        var column = 0
        while column < task.columns {
            let columns = min(tileColumns, task.columns &- column)
            let diagonal = task.diagonal &+ row &- column
            let cover = coverage(task.region, diagonal, rows, columns)
            if cover != none {
                let corner = c + (row &* task.rowStride &+ column &* task.columnStride)
                let direct = cover == whole && rows == tileRows && columns == tileColumns && task.columnStride == 1
                if direct { announceTile(corner, task.rowStride, V.self) }
                multiplyTile(
                    task.depth, a + row &* task.depth, b + column &* task.depth, direct ? corner : scratch,
                    (direct ? task.rowStride : tileColumns, alpha, direct ? beta : 0), V.self)
                if !direct {
                    for i in 0..<rows {
                        for j in 0..<columns where isInside(task.region, diagonal, i, j) {
                            let element = corner + (i &* task.rowStride &+ j &* task.columnStride)
                            let product = scratch[i &* tileColumns &+ j]
                            element.pointee = beta == 0 ? product : multiplyAdd(product, beta, element.pointee)
                        }
                    }
                }
            }
            column &+= tileColumns
        }
        row &+= tileRows
    }
}

/// Asks for the tile of c, which is read and written when its sums are done.
@inline(__always)
private func announceTile<V: SIMD>(_ corner: UnsafeMutablePointer<V.Scalar>, _ stride: Int, _: V.Type) {
    var row = corner
    for _ in 0..<tileRows {
        prefetch_for_writing(row)
        prefetch_for_writing(row + V.scalarCount)
        row += stride
    }
}

// How much of a tile lies in the region that is written.
private let none = 0
private let part = 1
private let whole = 2

/// `diagonal` counts within the tile.
@inline(__always)
private func coverage(_ region: Int, _ diagonal: Int, _ rows: Int, _ columns: Int) -> Int {
    if region == BlockProduct.all { return whole }
    if region == BlockProduct.lower {
        // The last row reaches furthest, the first row least.
        return diagonal &+ rows &- 1 < 0 ? none : diagonal >= columns &- 1 ? whole : part
    }
    return diagonal > columns &- 1 ? none : diagonal &+ rows &- 1 <= 0 ? whole : part
}

@inline(__always)
private func isInside(_ region: Int, _ diagonal: Int, _ i: Int, _ j: Int) -> Bool {
    region == BlockProduct.all || (region == BlockProduct.lower ? j <= i &+ diagonal : j >= i &+ diagonal)
}

#if AVX512 || arch(arm64)
/// out ← alpha · a · b + beta · out for one tile of 14 rows; `target` is (row stride of out, alpha, beta).
@inline(__always)
private func multiplyTile<V: SIMD>(
    _ depth: Int, _ a: UnsafePointer<V.Scalar>, _ b: UnsafePointer<V.Scalar>, _ out: UnsafeMutablePointer<V.Scalar>,
    _ target: (stride: Int, alpha: V.Scalar, beta: V.Scalar), _: V.Type
) where V.Scalar: BinaryFloatingPoint {
    var (c00, c01) = (V.zero, V.zero)
    var (c10, c11) = (V.zero, V.zero)
    var (c20, c21) = (V.zero, V.zero)
    var (c30, c31) = (V.zero, V.zero)
    var (c40, c41) = (V.zero, V.zero)
    var (c50, c51) = (V.zero, V.zero)
    var (c60, c61) = (V.zero, V.zero)
    var (c70, c71) = (V.zero, V.zero)
    var (c80, c81) = (V.zero, V.zero)
    var (c90, c91) = (V.zero, V.zero)
    var (ca0, ca1) = (V.zero, V.zero)
    var (cb0, cb1) = (V.zero, V.zero)
    var (cc0, cc1) = (V.zero, V.zero)
    var (cd0, cd1) = (V.zero, V.zero)
    var a = a
    var b = b
    for _ in 0..<depth {
        let b0: V = load(b)
        let b1: V = load(b + V.scalarCount)
        accumulate(&c00, &c01, a[0], b0, b1)
        accumulate(&c10, &c11, a[1], b0, b1)
        accumulate(&c20, &c21, a[2], b0, b1)
        accumulate(&c30, &c31, a[3], b0, b1)
        accumulate(&c40, &c41, a[4], b0, b1)
        accumulate(&c50, &c51, a[5], b0, b1)
        accumulate(&c60, &c61, a[6], b0, b1)
        accumulate(&c70, &c71, a[7], b0, b1)
        accumulate(&c80, &c81, a[8], b0, b1)
        accumulate(&c90, &c91, a[9], b0, b1)
        accumulate(&ca0, &ca1, a[10], b0, b1)
        accumulate(&cb0, &cb1, a[11], b0, b1)
        accumulate(&cc0, &cc1, a[12], b0, b1)
        accumulate(&cd0, &cd1, a[13], b0, b1)
        a += tileRows
        b += 2 &* V.scalarCount
    }
    var out = out
    put(c00, c01, &out, target)
    put(c10, c11, &out, target)
    put(c20, c21, &out, target)
    put(c30, c31, &out, target)
    put(c40, c41, &out, target)
    put(c50, c51, &out, target)
    put(c60, c61, &out, target)
    put(c70, c71, &out, target)
    put(c80, c81, &out, target)
    put(c90, c91, &out, target)
    put(ca0, ca1, &out, target)
    put(cb0, cb1, &out, target)
    put(cc0, cc1, &out, target)
    put(cd0, cd1, &out, target)
}
#else
/// out ← alpha · a · b + beta · out for one tile of 6 rows; `target` is (row stride of out, alpha, beta).
@inline(__always)
private func multiplyTile<V: SIMD>(
    _ depth: Int, _ a: UnsafePointer<V.Scalar>, _ b: UnsafePointer<V.Scalar>, _ out: UnsafeMutablePointer<V.Scalar>,
    _ target: (stride: Int, alpha: V.Scalar, beta: V.Scalar), _: V.Type
) where V.Scalar: BinaryFloatingPoint {
    var (c00, c01) = (V.zero, V.zero)
    var (c10, c11) = (V.zero, V.zero)
    var (c20, c21) = (V.zero, V.zero)
    var (c30, c31) = (V.zero, V.zero)
    var (c40, c41) = (V.zero, V.zero)
    var (c50, c51) = (V.zero, V.zero)
    var a = a
    var b = b
    for _ in 0..<depth {
        let b0: V = load(b)
        let b1: V = load(b + V.scalarCount)
        accumulate(&c00, &c01, a[0], b0, b1)
        accumulate(&c10, &c11, a[1], b0, b1)
        accumulate(&c20, &c21, a[2], b0, b1)
        accumulate(&c30, &c31, a[3], b0, b1)
        accumulate(&c40, &c41, a[4], b0, b1)
        accumulate(&c50, &c51, a[5], b0, b1)
        a += tileRows
        b += 2 &* V.scalarCount
    }
    var out = out
    put(c00, c01, &out, target)
    put(c10, c11, &out, target)
    put(c20, c21, &out, target)
    put(c30, c31, &out, target)
    put(c40, c41, &out, target)
    put(c50, c51, &out, target)
}
#endif

@inline(__always)
private func accumulate<V: SIMD>(_ c0: inout V, _ c1: inout V, _ a: V.Scalar, _ b0: V, _ b1: V)
where V.Scalar: BinaryFloatingPoint {
    let broadcast = V(repeating: a)
    c0 = multiplyAdd(c0, broadcast, b0)
    c1 = multiplyAdd(c1, broadcast, b1)
}

/// Writes one row of a tile and steps to the next.
@inline(__always)
private func put<V: SIMD>(
    _ c0: V, _ c1: V, _ out: inout UnsafeMutablePointer<V.Scalar>, _ target: (stride: Int, alpha: V.Scalar, beta: V.Scalar)
) where V.Scalar: BinaryFloatingPoint {
    var (r0, r1) = (c0 * target.alpha, c1 * target.alpha)
    if target.beta != 0 {
        let beta = V(repeating: target.beta)
        r0 = multiplyAdd(r0, beta, load(out))
        r1 = multiplyAdd(r1, beta, load(out + V.scalarCount))
    }
    UnsafeMutableRawPointer(out).storeBytes(of: r0, as: V.self)
    UnsafeMutableRawPointer(out + V.scalarCount).storeBytes(of: r1, as: V.self)
    out += target.stride
}

@inline(__always)
private func load<V: SIMD>(_ pointer: UnsafePointer<V.Scalar>) -> V {
    UnsafeRawPointer(pointer).loadUnaligned(as: V.self)
}

/// sum + x · y; fused only where the hardware does it, because the fallback is a library call for each element.
@inline(__always)
private func multiplyAdd<V: SIMD>(_ sum: V, _ x: V, _ y: V) -> V where V.Scalar: BinaryFloatingPoint {
    #if FMA || arch(arm64)
    sum.addingProduct(x, y)
    #else
    sum + x * y
    #endif
}

@inline(__always)
private func multiplyAdd<Scalar: BinaryFloatingPoint>(_ sum: Scalar, _ x: Scalar, _ y: Scalar) -> Scalar {
    #if FMA || arch(arm64)
    sum.addingProduct(x, y)
    #else
    sum + x * y
    #endif
}
