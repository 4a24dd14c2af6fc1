import KernelContract

// V and T of blocks of reflectors: small triangles, where a product by packed panels would mostly pack. Vectors have
// eight numbers in every instruction set, since the sides of blocks are multiples of eight.

var triangularFactor64: Kernel<TriangularFactor> {
    Kernel { makeTriangularFactor($0.load(as: TriangularFactor.self), SIMD8<Double>.self) }
}

var triangularFactor32: Kernel<TriangularFactor> {
    Kernel { makeTriangularFactor($0.load(as: TriangularFactor.self), SIMD8<Float>.self) }
}

var makeStaggeredBlock64: Kernel<StaggeredBlock> {
    Kernel { makeBlock($0.load(as: StaggeredBlock.self), SIMD8<Double>.self) }
}

var makeStaggeredBlock32: Kernel<StaggeredBlock> {
    Kernel { makeBlock($0.load(as: StaggeredBlock.self), SIMD8<Float>.self) }
}

@inline(__always)
private func makeBlock<V: SIMD>(_ task: StaggeredBlock, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let count = task.count
    let gram = task.work.assumingMemoryBound(to: V.Scalar.self)
    let taus = gram + count &* count
    let given = task.taus.assumingMemoryBound(to: V.Scalar.self)
    for q in 0..<count { taus[q] = q < task.present ? given[q &* task.tausStride] : 0 }
    gatherReflectors(task, V.self)
    var row = 0
    while row < count {
        var column = row
        while column < count {
            multiplyTile(task, row, column, into: gram + (row &* count &+ column), V.self)
            column &+= V.scalarCount
        }
        row &+= V.scalarCount
    }
    makeTriangularFactor(
        TriangularFactor(gram: gram, gramStride: count, taus: taus, t: task.t, tStride: count, count: count), V.self)
}

/// V: the rows of the matrix as columns, zeros around them.
@inline(__always)
private func gatherReflectors<V: SIMD>(_ task: StaggeredBlock, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let count = task.count
    let v = task.v.assumingMemoryBound(to: V.Scalar.self)
    var i = 0
    while i < (task.length &+ count) &* count {
        store(V.zero, v + i)
        i &+= V.scalarCount
    }
    let reflectors = task.reflectors.assumingMemoryBound(to: V.Scalar.self)
    for q in 0..<min(count, task.present) {
        let source = reflectors + q &* task.rowStride
        var target = v + (q &* count &+ q)
        for r in q..<max(q, min(q &+ task.length, task.width)) {
            target.pointee = source[r]
            target += count
        }
    }
}

/// out ← eight rows from `row` on and eight columns from `column` on of VᵀV, row ≤ column; summed where both may be
/// other than zero.
@inline(__always)
private func multiplyTile<V: SIMD>(
    _ task: StaggeredBlock, _ row: Int, _ column: Int, into out: UnsafeMutablePointer<V.Scalar>, _: V.Type
) where V.Scalar: BinaryFloatingPoint {
    let count = task.count
    var (c0, c1, c2, c3) = (V.zero, V.zero, V.zero, V.zero)
    var (c4, c5, c6, c7) = (V.zero, V.zero, V.zero, V.zero)
    var v = task.v.assumingMemoryBound(to: V.Scalar.self) + column &* count
    for _ in column..<max(column, row &+ 8 &+ task.length) {
        let right: V = load(v + column)
        let left = v + row
        c0 = multiplyAdd(c0, V(repeating: left[0]), right)
        c1 = multiplyAdd(c1, V(repeating: left[1]), right)
        c2 = multiplyAdd(c2, V(repeating: left[2]), right)
        c3 = multiplyAdd(c3, V(repeating: left[3]), right)
        c4 = multiplyAdd(c4, V(repeating: left[4]), right)
        c5 = multiplyAdd(c5, V(repeating: left[5]), right)
        c6 = multiplyAdd(c6, V(repeating: left[6]), right)
        c7 = multiplyAdd(c7, V(repeating: left[7]), right)
        v += count
    }
    store(c0, out)
    store(c1, out + count)
    store(c2, out + 2 &* count)
    store(c3, out + 3 &* count)
    store(c4, out + 4 &* count)
    store(c5, out + 5 &* count)
    store(c6, out + 6 &* count)
    store(c7, out + 7 &* count)
}

@inline(__always)
private func makeTriangularFactor<V: SIMD>(_ task: TriangularFactor, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let lanes = V.scalarCount
    let t = task.t.assumingMemoryBound(to: V.Scalar.self)
    let gram = task.gram.assumingMemoryBound(to: V.Scalar.self)
    let taus = task.taus.assumingMemoryBound(to: V.Scalar.self)
    var i = task.count &- 1
    while i >= 0 {
        let factors = gram + i &* task.gramStride
        let row = t + i &* task.tStride
        let tau = taus[i &* task.tausStride]
        // A first vector may reach to the left of the diagonal, where zeros are written afterwards.
        var j = (i &+ 1) / lanes &* lanes
        while j &+ lanes <= task.count {
            var (even, odd) = (V.zero, V.zero)
            var below = row + (task.tStride &+ j)
            var l = i &+ 1
            while l &+ 2 <= j &+ lanes {
                even = multiplyAdd(even, V(repeating: factors[l]), load(below))
                odd = multiplyAdd(odd, V(repeating: factors[l &+ 1]), load(below + task.tStride))
                below += 2 &* task.tStride
                l &+= 2
            }
            if l < j &+ lanes { even = multiplyAdd(even, V(repeating: factors[l]), load(below)) }
            store((even + odd) * -tau, row + j)
            j &+= lanes
        }
        while j < task.count {
            var sum: V.Scalar = 0
            if j > i {
                for l in (i &+ 1)..<(j &+ 1) { sum += factors[l] * t[l &* task.tStride &+ j] }
            }
            row[j] = -tau * sum
            j &+= 1
        }
        for j in 0..<i { row[j] = 0 }
        row[i] = tau
        i &-= 1
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
