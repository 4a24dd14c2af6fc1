import KernelContract

// A step of the bulge chase. Each block is passed over three times, twice for products and once for the update, while
// it is in L1. Vectors start at multiples of eight columns, so a block that starts between them has margins: the
// reflectors are zero there, which leaves the margins as they are.

private let lanes = DoubleVector.scalarCount

var chaseStep: Kernel<ChaseStep> {
    Kernel { chase($0.load(as: ChaseStep.self)) }
}

@inline(__always)
private func chase(_ task: ChaseStep) {
    let first = task.sweep &+ 1 &+ task.step &* task.bandwidth
    let length = min(task.bandwidth, task.size &- first)
    let offset = (task.sweep &+ 1) & 7
    for j in 0..<(task.bandwidth &+ 16) { task.current[j] = 0 }
    if task.step == 0 {
        annihilateColumn(task, length, offset)
    } else {
        chaseBlock(task, first, length, offset)
    }
    applyToDiagonalBlock(task, first, length, offset)
}

/// Step 0: the reflector of column `sweep` below its first subdiagonal.
@inline(__always)
private func annihilateColumn(_ task: ChaseStep, _ length: Int, _ offset: Int) {
    let column = task.origin + ((task.sweep &+ 1) &* task.rowStride &+ task.sweep)
    let v = task.current + offset
    for i in 0..<length {
        v[i] = column[i &* task.rowStride]
        column[i &* task.rowStride] = 0
    }
    column[0] = makeReflector(task, offset, length)
}

/// Later steps: block (length × b) ← H block Hprevious, with H made from its first column after Hprevious.
@inline(__always)
private func chaseBlock(_ task: ChaseStep, _ first: Int, _ length: Int, _ offset: Int) {
    let b = task.bandwidth
    let stride = task.rowStride
    let width = (offset &+ b &+ 7) & ~7
    let block = task.origin + (first &* stride &+ first &- b &- offset)
    let u = task.work
    let z = task.work + (b &+ 16)
    let v = task.current + offset
    rowProducts(block, length, stride, width, task.previous, scale: task.previousTau, into: u)
    for i in 0..<length {
        v[i] = block[i &* stride &+ offset] - u[i]
    }
    let beta = makeReflector(task, offset, length)

    // z = τ (blockᵀ v − (uᵀv) previous), zero in the margins.
    let tau = task.tau.pointee
    columnProducts(block, length, stride, width, v, into: z)
    var overlap = 0.0
    for i in 0..<length { overlap += u[i] * v[i] }
    for j in 0..<offset { z[j] = 0 }
    for j in offset..<(offset &+ b) { z[j] = tau * (z[j] - overlap * task.previous[j]) }
    for j in (offset &+ b)..<width { z[j] = 0 }
    subtractPairs(block, length, stride, width, (u, task.previous), (v, z))
    for i in 0..<length { block[i &* stride &+ offset] = 0 }
    block[offset] = beta
}

/// Diagonal block (length × length) ← H block H; both its triangles are kept.
@inline(__always)
private func applyToDiagonalBlock(_ task: ChaseStep, _ first: Int, _ length: Int, _ offset: Int) {
    let stride = task.rowStride
    let width = (offset &+ length &+ 7) & ~7
    let block = task.origin + (first &* stride &+ first &- offset)
    // The last column is new to the diagonal block; up to now its row alone was kept up to date.
    let last = offset &+ length &- 1
    let lastRow = block + ((length &- 1) &* stride &+ offset)
    for i in 0..<length { block[i &* stride &+ last] = lastRow[i] }
    let tau = task.tau.pointee
    if tau == 0 { return }
    let v = task.current
    let u = task.work
    columnProducts(block, length, stride, width, v + offset, into: u)
    for j in 0..<offset { u[j] = 0 }
    for j in (offset &+ length)..<width { u[j] = 0 }
    var overlap = 0.0
    for j in offset..<(offset &+ length) { overlap += u[j] * v[j] }
    let half = 0.5 * tau * overlap
    for j in 0..<width { u[j] = tau * (u[j] - half * v[j]) }
    subtractPairs(block, length, stride, width, (v + offset, u), (u + offset, v))
}

/// Turns the column in `current` into the vector of its reflector, v₀ = 1; sets τ and returns β.
@inline(__always)
private func makeReflector(_ task: ChaseStep, _ offset: Int, _ length: Int) -> Double {
    let v = task.current + offset
    let head = v[0]
    v[0] = 0
    var square = 0.0
    for i in 0..<length { square += v[i] * v[i] }
    var (tau, beta, scale) = (0.0, head, 0.0)
    if square > task.negligibleSquare {
        let norm = (head * head + square).squareRoot()
        beta = head > 0 ? -norm : norm
        tau = (beta - head) / beta
        scale = 1 / (head - beta)
    }
    for i in 0..<length { v[i] *= scale }
    v[0] = 1
    task.tau.pointee = tau
    return beta
}

/// products ← scale · block · x, block (rows × width).
@inline(__always)
private func rowProducts(
    _ block: UnsafePointer<Double>, _ rows: Int, _ stride: Int, _ width: Int, _ x: UnsafePointer<Double>, scale: Double,
    into products: UnsafeMutablePointer<Double>
) {
    var i = 0
    while i &+ 4 <= rows {
        let row = block + i &* stride
        var (s0, s1) = (DoubleVector.zero, DoubleVector.zero)
        var (s2, s3) = (DoubleVector.zero, DoubleVector.zero)
        var j = 0
        while j < width {
            let factor = load(x + j)
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
        var s0 = DoubleVector.zero
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
private func columnProducts(
    _ block: UnsafePointer<Double>, _ rows: Int, _ stride: Int, _ width: Int, _ x: UnsafePointer<Double>,
    into products: UnsafeMutablePointer<Double>
) {
    var j = 0
    while j &+ 3 &* lanes <= width {
        var (a0, a1, a2) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
        var (b0, b1, b2) = (DoubleVector.zero, DoubleVector.zero, DoubleVector.zero)
        var row = block + j
        var i = 0
        while i &+ 2 <= rows {
            let (x0, x1) = (DoubleVector(repeating: x[i]), DoubleVector(repeating: x[i &+ 1]))
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
            let x0 = DoubleVector(repeating: x[i])
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
        var (a0, b0) = (DoubleVector.zero, DoubleVector.zero)
        var row = block + j
        var i = 0
        while i &+ 2 <= rows {
            a0 = multiplyAdd(a0, DoubleVector(repeating: x[i]), load(row))
            b0 = multiplyAdd(b0, DoubleVector(repeating: x[i &+ 1]), load(row + stride))
            row += 2 &* stride
            i &+= 2
        }
        if i < rows { a0 = multiplyAdd(a0, DoubleVector(repeating: x[i]), load(row)) }
        store(a0 + b0, products + j)
        j &+= lanes
    }
}

/// block ← block − x₁ y₁ᵀ − x₂ y₂ᵀ, block (rows × width).
@inline(__always)
private func subtractPairs(
    _ block: UnsafeMutablePointer<Double>, _ rows: Int, _ stride: Int, _ width: Int,
    _ first: (x: UnsafeMutablePointer<Double>, y: UnsafeMutablePointer<Double>),
    _ second: (x: UnsafeMutablePointer<Double>, y: UnsafeMutablePointer<Double>)
) {
    var i = 0
    while i &+ 4 <= rows {
        let row = block + i &* stride
        let (p0, p1) = (DoubleVector(repeating: -first.x[i]), DoubleVector(repeating: -first.x[i &+ 1]))
        let (p2, p3) = (DoubleVector(repeating: -first.x[i &+ 2]), DoubleVector(repeating: -first.x[i &+ 3]))
        let (q0, q1) = (DoubleVector(repeating: -second.x[i]), DoubleVector(repeating: -second.x[i &+ 1]))
        let (q2, q3) = (DoubleVector(repeating: -second.x[i &+ 2]), DoubleVector(repeating: -second.x[i &+ 3]))
        var j = 0
        while j < width {
            let (y1, y2) = (load(first.y + j), load(second.y + j))
            subtractPair(row + j, p0, y1, q0, y2)
            subtractPair(row + (stride &+ j), p1, y1, q1, y2)
            subtractPair(row + (2 &* stride &+ j), p2, y1, q2, y2)
            subtractPair(row + (3 &* stride &+ j), p3, y1, q3, y2)
            j &+= lanes
        }
        i &+= 4
    }
    while i < rows {
        let (p, q) = (DoubleVector(repeating: -first.x[i]), DoubleVector(repeating: -second.x[i]))
        var j = 0
        while j < width {
            subtractPair(block + (i &* stride &+ j), p, load(first.y + j), q, load(second.y + j))
            j &+= lanes
        }
        i &+= 1
    }
}

@inline(__always)
private func subtractPair(
    _ target: UnsafeMutablePointer<Double>, _ p: DoubleVector, _ y1: DoubleVector, _ q: DoubleVector, _ y2: DoubleVector
) {
    store(multiplyAdd(multiplyAdd(load(target), p, y1), q, y2), target)
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

@inline(__always)
private func sum(_ v: DoubleVector) -> Double {
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
