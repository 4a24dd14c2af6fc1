import KernelContract

// Twisted factorizations of T − λ, a λ to each lane of a vector. Pivots are kept as their reciprocals, which is all that
// the vectors need; the chains of divisions from the top and from the bottom run side by side.

/// Pivots nearer to zero than this are moved to it; its square, and that of its reciprocal, are numbers.
private let leastPivot = 0x1p-400

var twistedVectors: Kernel<TwistedVectors> {
    Kernel {
        let task = $0.load(as: TwistedVectors.self)
        var lane = 0
        while lane < TwistedVectors.lanes {
            makeVectors(task, lane)
            lane &+= DoubleVector.scalarCount
        }
    }
}

@inline(__always)
private func makeVectors(_ task: TwistedVectors, _ lane: Int) {
    let values = load(task.values + lane)
    let above = task.work + lane, below = task.work + (task.count &* TwistedVectors.lanes &+ lane)
    factor(task, values, above, below)
    solve(task, twists(task, values, above, below), above, below, task.vectors + lane)
    normalise(task, values, lane)
}

/// above_i ← 1/D⁺_i for i < count − 1, below_i ← 1/D⁻_i for i > 0.
@inline(__always)
private func factor(
    _ task: TwistedVectors, _ values: DoubleVector, _ above: UnsafeMutablePointer<Double>,
    _ below: UnsafeMutablePointer<Double>
) {
    let (d, e, lanes) = (task.diagonal, task.offDiagonal, TwistedVectors.lanes)
    var down = broadcast(d[0]) - values, up = broadcast(d[task.count &- 1]) - values
    var i = 0, j = task.count &- 1
    while i &+ 1 < task.count {
        let first = reciprocal(down), second = reciprocal(up)
        store(first, above + i &* lanes)
        store(second, below + j &* lanes)
        down = multiplyAdd(broadcast(d[i &+ 1]) - values, broadcast(-(e[i] * e[i])), first)
        up = multiplyAdd(broadcast(d[j &- 1]) - values, broadcast(-(e[j &- 1] * e[j &- 1])), second)
        i &+= 1
        j &-= 1
    }
}

@inline(__always)
private func reciprocal(_ pivot: DoubleVector) -> DoubleVector {
    let tooSmall = pivot * pivot .< broadcast(leastPivot * leastPivot)
    return broadcast(1) / pivot.replacing(with: broadcast(leastPivot), where: tooSmall)
}

/// The row of each lane where γ_i = d_i − λ − e_(i−1)²/D⁺_(i−1) − e_i²/D⁻_(i+1) is least.
@inline(__always)
private func twists(
    _ task: TwistedVectors, _ values: DoubleVector, _ above: UnsafeMutablePointer<Double>,
    _ below: UnsafeMutablePointer<Double>
) -> DoubleVector {
    let (d, e, lanes) = (task.diagonal, task.offDiagonal, TwistedVectors.lanes)
    var least = broadcast(.infinity), rows = DoubleVector.zero
    var i = 0
    while i < task.count {
        var gamma = broadcast(d[i]) - values
        if i > 0 {
            gamma = multiplyAdd(gamma, broadcast(-(e[i &- 1] * e[i &- 1])), load(above + (i &- 1) &* lanes))
        }
        if i &+ 1 < task.count {
            gamma = multiplyAdd(gamma, broadcast(-(e[i] * e[i])), load(below + (i &+ 1) &* lanes))
        }
        let square = gamma * gamma, isLess = square .< least
        least.replace(with: square, where: isLess)
        rows.replace(with: broadcast(Double(i)), where: isLess)
        i &+= 1
    }
    return rows
}

/// z_r = 1, and every other row of (T − λ) z = 0 from there.
@inline(__always)
private func solve(
    _ task: TwistedVectors, _ twists: DoubleVector, _ above: UnsafeMutablePointer<Double>,
    _ below: UnsafeMutablePointer<Double>, _ z: UnsafeMutablePointer<Double>
) {
    let (e, lanes) = (task.offDiagonal, TwistedVectors.lanes)
    var number = broadcast(1).replacing(with: 0, where: twists .!= broadcast(0))
    store(number, z)
    var i = 1
    while i < task.count {
        number *= broadcast(-e[i &- 1]) * load(below + i &* lanes)
        number.replace(with: broadcast(1), where: twists .== broadcast(Double(i)))
        store(number, z + i &* lanes)
        i &+= 1
    }
    i &-= 2
    while i >= 0 {
        let next = number * (broadcast(-e[i]) * load(above + i &* lanes))
        number = load(z + i &* lanes).replacing(with: next, where: broadcast(Double(i)) .< twists)
        store(number, z + i &* lanes)
        i &-= 1
    }
}

/// Brings z to length 1 and measures its residual.
@inline(__always)
private func normalise(_ task: TwistedVectors, _ values: DoubleVector, _ lane: Int) {
    let (d, e, lanes) = (task.diagonal, task.offDiagonal, TwistedVectors.lanes)
    let z = task.vectors + lane
    var squares = DoubleVector.zero, residuals = DoubleVector.zero
    var before = DoubleVector.zero, number = load(z)
    var i = 0
    while i < task.count {
        var residual = (broadcast(d[i]) - values) * number
        if i > 0 { residual = multiplyAdd(residual, broadcast(e[i &- 1]), before) }
        before = number
        squares = multiplyAdd(squares, number, number)
        if i &+ 1 < task.count {
            number = load(z + (i &+ 1) &* lanes)
            residual = multiplyAdd(residual, broadcast(e[i]), number)
        }
        residuals = multiplyAdd(residuals, residual, residual)
        i &+= 1
    }
    store((residuals / squares).squareRoot(), task.residuals + lane)
    let scales = broadcast(1) / squares.squareRoot()
    i = 0
    while i < task.count {
        store(load(z + i &* lanes) * scales, z + i &* lanes)
        i &+= 1
    }
}

@inline(__always)
private func broadcast(_ number: Double) -> DoubleVector { DoubleVector(repeating: number) }

@inline(__always)
private func load(_ pointer: UnsafePointer<Double>) -> DoubleVector {
    UnsafeRawPointer(pointer).loadUnaligned(as: DoubleVector.self)
}

@inline(__always)
private func load(_ pointer: UnsafeMutablePointer<Double>) -> DoubleVector {
    UnsafeRawPointer(pointer).loadUnaligned(as: DoubleVector.self)
}

@inline(__always)
private func store(_ vector: DoubleVector, _ pointer: UnsafeMutablePointer<Double>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: vector, as: DoubleVector.self)
}

/// sum + x · y; fused only where the hardware does it, because the fallback is a library call for each element.
@inline(__always)
private func multiplyAdd(_ sum: DoubleVector, _ x: DoubleVector, _ y: DoubleVector) -> DoubleVector {
    #if FMA || arch(arm64)
    sum.addingProduct(x, y)
    #else
    sum + x * y
    #endif
}
