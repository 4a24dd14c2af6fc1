import KernelContract

// A matrix times a few vectors that lie side by side. A tile is eight rows of one vector of the instruction set: each
// step loads a vector of b and broadcasts eight elements of a. Sums from before are added last, so that rounding grows
// with the depth of a piece and not with that of the matrix.

var narrowRows64: Kernel<NarrowRows> {
    Kernel { multiply($0.load(as: NarrowRows.self), DoubleVector.self) }
}

var narrowRows32: Kernel<NarrowRows> {
    Kernel { multiply($0.load(as: NarrowRows.self), FloatVector.self) }
}

private let tileRows = 8

@inline(__always)
private func multiply<V: SIMD>(_ task: NarrowRows, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    var row = 0
    while row &+ tileRows <= task.rows {
        var column = 0
        while column < task.width {
            multiplyTile(task, row, column, V.self)
            column &+= V.scalarCount
        }
        row &+= tileRows
    }
    while row < task.rows {
        var column = 0
        while column < task.width {
            multiplyRow(task, row, column, V.self)
            column &+= V.scalarCount
        }
        row &+= 1
    }
}

@inline(__always)
private func multiplyTile<V: SIMD>(_ task: NarrowRows, _ row: Int, _ column: Int, _: V.Type)
where V.Scalar: BinaryFloatingPoint {
    let sums = task.sums.assumingMemoryBound(to: V.Scalar.self) + (row &* task.width &+ column)
    let (width, stride) = (task.width, task.rowStride)
    var (c0, c1, c2, c3) = (V.zero, V.zero, V.zero, V.zero)
    var (c4, c5, c6, c7) = (V.zero, V.zero, V.zero, V.zero)
    // A pointer to each row, and one offset for all: derived from each other, they would be a chain of eight additions.
    let a0 = task.a.assumingMemoryBound(to: V.Scalar.self) + row &* stride
    let (a1, a2, a3) = (a0 + stride, a0 + 2 &* stride, a0 + 3 &* stride)
    let (a4, a5, a6, a7) = (a0 + 4 &* stride, a0 + 5 &* stride, a0 + 6 &* stride, a0 + 7 &* stride)
    var b = task.b.assumingMemoryBound(to: V.Scalar.self) + column
    var offset = 0
    for _ in 0..<task.depth {
        let numbers: V = load(b)
        c0 = multiplyAdd(c0, V(repeating: a0[offset]), numbers)
        c1 = multiplyAdd(c1, V(repeating: a1[offset]), numbers)
        c2 = multiplyAdd(c2, V(repeating: a2[offset]), numbers)
        c3 = multiplyAdd(c3, V(repeating: a3[offset]), numbers)
        c4 = multiplyAdd(c4, V(repeating: a4[offset]), numbers)
        c5 = multiplyAdd(c5, V(repeating: a5[offset]), numbers)
        c6 = multiplyAdd(c6, V(repeating: a6[offset]), numbers)
        c7 = multiplyAdd(c7, V(repeating: a7[offset]), numbers)
        offset &+= task.depthStride
        b += width
    }
    if task.isContinued {
        let rest = sums + 4 &* width
        c0 += load(sums)
        c1 += load(sums + width)
        c2 += load(sums + 2 &* width)
        c3 += load(sums + 3 &* width)
        c4 += load(rest)
        c5 += load(rest + width)
        c6 += load(rest + 2 &* width)
        c7 += load(rest + 3 &* width)
    }
    store(c0, sums)
    store(c1, sums + width)
    store(c2, sums + 2 &* width)
    store(c3, sums + 3 &* width)
    store(c4, sums + 4 &* width)
    store(c5, sums + 5 &* width)
    store(c6, sums + 6 &* width)
    store(c7, sums + 7 &* width)
}

@inline(__always)
private func multiplyRow<V: SIMD>(_ task: NarrowRows, _ row: Int, _ column: Int, _: V.Type)
where V.Scalar: BinaryFloatingPoint {
    let sums = task.sums.assumingMemoryBound(to: V.Scalar.self) + (row &* task.width &+ column)
    var sum = V.zero
    var a = task.a.assumingMemoryBound(to: V.Scalar.self) + row &* task.rowStride
    var b = task.b.assumingMemoryBound(to: V.Scalar.self) + column
    for _ in 0..<task.depth {
        sum = multiplyAdd(sum, V(repeating: a.pointee), load(b))
        a += task.depthStride
        b += task.width
    }
    if task.isContinued { sum += load(sums) }
    store(sum, sums)
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
