import KernelContract

// A step of the bulge chase. Each block is passed over three times, twice for products and once for the update, while
// it is in L1. Vectors start at multiples of a cache line, so a block that starts between them has margins: the
// reflectors are zero there, which leaves the margins as they are.

var chaseStep64: Kernel<ChaseStep> {
    Kernel { chase($0.load(as: ChaseStep.self), DoubleVector.self) }
}

var chaseStep32: Kernel<ChaseStep> {
    Kernel { chase($0.load(as: ChaseStep.self), FloatVector.self) }
}

/// Numbers in a cache line.
@inline(__always)
private func line<V: SIMD>(_: V.Type) -> Int { 64 / MemoryLayout<V.Scalar>.stride }

@inline(__always)
private func chase<V: SIMD>(_ task: ChaseStep, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let first = task.sweep &+ 1 &+ task.step &* task.bandwidth
    let length = min(task.bandwidth, task.size &- first)
    let offset = (task.sweep &+ 1) & (line(V.self) &- 1)
    let current = task.current.assumingMemoryBound(to: V.Scalar.self)
    for j in 0..<(task.bandwidth &+ 2 &* line(V.self)) { current[j] = 0 }
    if task.step == 0 {
        annihilateColumn(task, length, offset, V.self)
    } else {
        chaseBlock(task, first, length, offset, V.self)
    }
    applyToDiagonalBlock(task, first, length, offset, V.self)
}

/// Step 0: the reflector of column `sweep` below its first subdiagonal.
@inline(__always)
private func annihilateColumn<V: SIMD>(_ task: ChaseStep, _ length: Int, _ offset: Int, _: V.Type)
where V.Scalar: BinaryFloatingPoint {
    let origin = task.origin.assumingMemoryBound(to: V.Scalar.self)
    let column = origin + ((task.sweep &+ 1) &* task.rowStride &+ task.sweep)
    let v = task.current.assumingMemoryBound(to: V.Scalar.self) + offset
    for i in 0..<length {
        v[i] = column[i &* task.rowStride]
        column[i &* task.rowStride] = 0
    }
    column[0] = makeReflector(task, offset, length, V.self)
}

/// Later steps: block (length × b) ← H block Hprevious, with H made from its first column after Hprevious.
@inline(__always)
private func chaseBlock<V: SIMD>(_ task: ChaseStep, _ first: Int, _ length: Int, _ offset: Int, _: V.Type)
where V.Scalar: BinaryFloatingPoint {
    let b = task.bandwidth
    let stride = task.rowStride
    let width = roundedUp(offset &+ b, V.self)
    let block = task.origin.assumingMemoryBound(to: V.Scalar.self) + (first &* stride &+ first &- b &- offset)
    let previous = task.previous.assumingMemoryBound(to: V.Scalar.self)
    let u = task.work.assumingMemoryBound(to: V.Scalar.self)
    let z = u + (b &+ 2 &* line(V.self))
    let v = task.current.assumingMemoryBound(to: V.Scalar.self) + offset
    rowProducts(block, length, stride, width, previous, scale: V.Scalar(task.previousTau), into: u, V.self)
    for i in 0..<length {
        v[i] = block[i &* stride &+ offset] - u[i]
    }
    let beta = makeReflector(task, offset, length, V.self)

    // z = τ (blockᵀ v − (uᵀv) previous), zero in the margins.
    let tau = task.tau.assumingMemoryBound(to: V.Scalar.self).pointee
    columnProducts(block, length, stride, width, v, into: z, V.self)
    let overlap = dot(u, v, length, V.self)
    for j in 0..<offset { z[j] = 0 }
    for j in offset..<(offset &+ b) { z[j] = tau * (z[j] - overlap * previous[j]) }
    for j in (offset &+ b)..<width { z[j] = 0 }
    subtractPairs(block, length, stride, width, (u, previous), (v, z), V.self)
    for i in 0..<length { block[i &* stride &+ offset] = 0 }
    block[offset] = beta
}

/// Diagonal block (length × length) ← H block H; both its triangles are kept.
@inline(__always)
private func applyToDiagonalBlock<V: SIMD>(_ task: ChaseStep, _ first: Int, _ length: Int, _ offset: Int, _: V.Type)
where V.Scalar: BinaryFloatingPoint {
    let stride = task.rowStride
    let width = roundedUp(offset &+ length, V.self)
    let block = task.origin.assumingMemoryBound(to: V.Scalar.self) + (first &* stride &+ first &- offset)
    // The last column is new to the diagonal block; up to now its row alone was kept up to date.
    let last = offset &+ length &- 1
    let lastRow = block + ((length &- 1) &* stride &+ offset)
    for i in 0..<length { block[i &* stride &+ last] = lastRow[i] }
    let tau = task.tau.assumingMemoryBound(to: V.Scalar.self).pointee
    if tau == 0 { return }
    let v = task.current.assumingMemoryBound(to: V.Scalar.self)
    let u = task.work.assumingMemoryBound(to: V.Scalar.self)
    columnProducts(block, length, stride, width, v + offset, into: u, V.self)
    for j in 0..<offset { u[j] = 0 }
    for j in (offset &+ length)..<width { u[j] = 0 }
    let half = 0.5 * tau * dot(u + offset, v + offset, length, V.self)
    for j in 0..<width { u[j] = tau * (u[j] - half * v[j]) }
    subtractPairs(block, length, stride, width, (v + offset, u), (u + offset, v), V.self)
}

/// Turns the column in `current` into the vector of its reflector, v₀ = 1; sets τ and returns β.
@inline(__always)
private func makeReflector<V: SIMD>(_ task: ChaseStep, _ offset: Int, _ length: Int, _: V.Type) -> V.Scalar
where V.Scalar: BinaryFloatingPoint {
    let v = task.current.assumingMemoryBound(to: V.Scalar.self) + offset
    let head = v[0]
    v[0] = 0
    let square = dot(v, v, length, V.self)
    var (tau, beta, scale): (V.Scalar, V.Scalar, V.Scalar) = (0, head, 0)
    if square > V.Scalar(task.negligibleSquare) {
        let norm = (head * head + square).squareRoot()
        beta = head > 0 ? -norm : norm
        tau = (beta - head) / beta
        scale = 1 / (head - beta)
    }
    for i in 0..<length { v[i] *= scale }
    v[0] = 1
    task.tau.assumingMemoryBound(to: V.Scalar.self).pointee = tau
    return beta
}

@inline(__always)
private func roundedUp<V: SIMD>(_ count: Int, _: V.Type) -> Int {
    (count &+ line(V.self) &- 1) & ~(line(V.self) &- 1)
}

/// Σ x y over `count` numbers, whatever lies behind them.
@inline(__always)
private func dot<V: SIMD>(_ x: UnsafePointer<V.Scalar>, _ y: UnsafePointer<V.Scalar>, _ count: Int, _: V.Type)
    -> V.Scalar where V.Scalar: BinaryFloatingPoint
{
    let lanes = V.scalarCount
    var sums = V.zero
    var i = 0
    while i &+ lanes <= count {
        sums = multiplyAdd(sums, load(x + i), load(y + i))
        i &+= lanes
    }
    var total = sum(sums)
    while i < count {
        total += x[i] * y[i]
        i &+= 1
    }
    return total
}

/// products ← scale · block · x, block (rows × width).
@inline(__always)
private func rowProducts<V: SIMD>(
    _ block: UnsafePointer<V.Scalar>, _ rows: Int, _ stride: Int, _ width: Int, _ x: UnsafePointer<V.Scalar>,
    scale: V.Scalar, into products: UnsafeMutablePointer<V.Scalar>, _: V.Type
) where V.Scalar: BinaryFloatingPoint {
    let lanes = V.scalarCount
    var i = 0
    while i &+ 4 <= rows {
        let row = block + i &* stride
        var (s0, s1) = (V.zero, V.zero)
        var (s2, s3) = (V.zero, V.zero)
        var j = 0
        while j < width {
            let factor: V = load(x + j)
            s0 = multiplyAdd(s0, factor, load(row + j))
            s1 = multiplyAdd(s1, factor, load(row + (stride &+ j)))
            s2 = multiplyAdd(s2, factor, load(row + (2 &* stride &+ j)))
            s3 = multiplyAdd(s3, factor, load(row + (3 &* stride &+ j)))
            j &+= lanes
        }
        products[i] = scale * sum(s0)
        products[i &+ 1] = scale * sum(s1)
        products[i &+ 2] = scale * sum(s2)
        products[i &+ 3] = scale * sum(s3)
        i &+= 4
    }
    while i < rows {
        let row = block + i &* stride
        var s0 = V.zero
        var j = 0
        while j < width {
            s0 = multiplyAdd(s0, load(x + j), load(row + j))
            j &+= lanes
        }
        products[i] = scale * sum(s0)
        i &+= 1
    }
}

/// products ← blockᵀ · x, block (rows × width).
@inline(__always)
private func columnProducts<V: SIMD>(
    _ block: UnsafePointer<V.Scalar>, _ rows: Int, _ stride: Int, _ width: Int, _ x: UnsafePointer<V.Scalar>,
    into products: UnsafeMutablePointer<V.Scalar>, _: V.Type
) where V.Scalar: BinaryFloatingPoint {
    let lanes = V.scalarCount
    var j = 0
    while j &+ 3 &* lanes <= width {
        var (a0, a1, a2) = (V.zero, V.zero, V.zero)
        var (b0, b1, b2) = (V.zero, V.zero, V.zero)
        var row = block + j
        var i = 0
        while i &+ 2 <= rows {
            let (x0, x1) = (V(repeating: x[i]), V(repeating: x[i &+ 1]))
            a0 = multiplyAdd(a0, x0, load(row))
            a1 = multiplyAdd(a1, x0, load(row + lanes))
            a2 = multiplyAdd(a2, x0, load(row + 2 &* lanes))
            b0 = multiplyAdd(b0, x1, load(row + stride))
            b1 = multiplyAdd(b1, x1, load(row + (stride &+ lanes)))
            b2 = multiplyAdd(b2, x1, load(row + (stride &+ 2 &* lanes)))
            row += 2 &* stride
            i &+= 2
        }
        if i < rows {
            let x0 = V(repeating: x[i])
            a0 = multiplyAdd(a0, x0, load(row))
            a1 = multiplyAdd(a1, x0, load(row + lanes))
            a2 = multiplyAdd(a2, x0, load(row + 2 &* lanes))
        }
        store(a0 + b0, products + j)
        store(a1 + b1, products + (j &+ lanes))
        store(a2 + b2, products + (j &+ 2 &* lanes))
        j &+= 3 &* lanes
    }
    while j < width {
        var (a0, b0) = (V.zero, V.zero)
        var row = block + j
        var i = 0
        while i &+ 2 <= rows {
            a0 = multiplyAdd(a0, V(repeating: x[i]), load(row))
            b0 = multiplyAdd(b0, V(repeating: x[i &+ 1]), load(row + stride))
            row += 2 &* stride
            i &+= 2
        }
        if i < rows { a0 = multiplyAdd(a0, V(repeating: x[i]), load(row)) }
        store(a0 + b0, products + j)
        j &+= lanes
    }
}

/// block ← block − x₁ y₁ᵀ − x₂ y₂ᵀ, block (rows × width).
@inline(__always)
private func subtractPairs<V: SIMD>(
    _ block: UnsafeMutablePointer<V.Scalar>, _ rows: Int, _ stride: Int, _ width: Int,
    _ first: (x: UnsafeMutablePointer<V.Scalar>, y: UnsafeMutablePointer<V.Scalar>),
    _ second: (x: UnsafeMutablePointer<V.Scalar>, y: UnsafeMutablePointer<V.Scalar>), _: V.Type
) where V.Scalar: BinaryFloatingPoint {
    let lanes = V.scalarCount
    var i = 0
    while i &+ 4 <= rows {
        let row = block + i &* stride
        let (p0, p1) = (V(repeating: -first.x[i]), V(repeating: -first.x[i &+ 1]))
        let (p2, p3) = (V(repeating: -first.x[i &+ 2]), V(repeating: -first.x[i &+ 3]))
        let (q0, q1) = (V(repeating: -second.x[i]), V(repeating: -second.x[i &+ 1]))
        let (q2, q3) = (V(repeating: -second.x[i &+ 2]), V(repeating: -second.x[i &+ 3]))
        var j = 0
        while j < width {
            let (y1, y2): (V, V) = (load(first.y + j), load(second.y + j))
            subtractPair(row + j, p0, y1, q0, y2)
            subtractPair(row + (stride &+ j), p1, y1, q1, y2)
            subtractPair(row + (2 &* stride &+ j), p2, y1, q2, y2)
            subtractPair(row + (3 &* stride &+ j), p3, y1, q3, y2)
            j &+= lanes
        }
        i &+= 4
    }
    while i < rows {
        let (p, q) = (V(repeating: -first.x[i]), V(repeating: -second.x[i]))
        var j = 0
        while j < width {
            subtractPair(block + (i &* stride &+ j), p, load(first.y + j), q, load(second.y + j))
            j &+= lanes
        }
        i &+= 1
    }
}

@inline(__always)
private func subtractPair<V: SIMD>(
    _ target: UnsafeMutablePointer<V.Scalar>, _ p: V, _ y1: V, _ q: V, _ y2: V
) where V.Scalar: BinaryFloatingPoint {
    store(multiplyAdd(multiplyAdd(load(target), p, y1), q, y2), target)
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

/// The lanes in a tree. Halves exist for concrete vectors alone.
@inline(__always)
private func sum<V: SIMD>(_ v: V) -> V.Scalar where V.Scalar: BinaryFloatingPoint {
    if V.self == FloatVector.self {
        return unsafeBitCast(sum32(unsafeBitCast(v, to: FloatVector.self)), to: V.Scalar.self)
    }
    return unsafeBitCast(sum64(unsafeBitCast(v, to: DoubleVector.self)), to: V.Scalar.self)
}

@inline(__always)
private func sum32(_ v: FloatVector) -> Float {
    #if AVX512
    let half = v.lowHalf + v.highHalf
    let quarter = half.lowHalf + half.highHalf
    let pair = quarter.lowHalf + quarter.highHalf
    return pair[0] + pair[1]
    #elseif AVX2
    let half = v.lowHalf + v.highHalf
    let quarter = half.lowHalf + half.highHalf
    return quarter[0] + quarter[1]
    #else
    let half = v.lowHalf + v.highHalf
    return half[0] + half[1]
    #endif
}

@inline(__always)
private func sum64(_ v: DoubleVector) -> Double {
    #if AVX512
    let half = v.lowHalf + v.highHalf
    let quarter = half.lowHalf + half.highHalf
    return quarter[0] + quarter[1]
    #elseif AVX2
    let half = v.lowHalf + v.highHalf
    return half[0] + half[1]
    #else
    return v[0] + v[1]
    #endif
}
