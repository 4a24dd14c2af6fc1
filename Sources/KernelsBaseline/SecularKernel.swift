import KernelContract

// Sums and products over the poles of a secular equation. What lies outside of a range within a vector is divided like
// the rest and then masked out.

var secularSums: Kernel<SecularSums> {
    Kernel {
        let task = $0.load(as: SecularSums.self)
        sum(task, from: 0, to: task.lower, into: task.sums)
        sum(task, from: task.upper, to: task.count, into: task.sums + 2)
    }
}

var secularProduct: Kernel<SecularProduct> {
    Kernel {
        let task = $0.load(as: SecularProduct.self)
        let below = product(task, from: 0, to: task.index, denominators: task.poles)
        let above = product(task, from: task.index, to: task.count &- 1, denominators: task.poles + 1)
        task.product.pointee = below * above
    }
}

var secularVector: Kernel<SecularVector> {
    Kernel { makeVector($0.load(as: SecularVector.self)) }
}

@inline(__always)
private func sum(_ task: SecularSums, from first: Int, to end: Int, into target: UnsafeMutablePointer<Double>) {
    let lanes = DoubleVector.scalarCount
    let origin = DoubleVector(repeating: task.origin), offset = DoubleVector(repeating: task.offset)
    var sums = DoubleVector.zero, squares = DoubleVector.zero
    var j = first / lanes &* lanes
    while j < end {
        var weights = load(task.weights + j)
        var shares = weights / ((load(task.poles + j) - origin) - offset)
        if j < first || j &+ lanes > end {
            weights = masked(weights, first &- j, end &- j, outside: 0)
            shares = masked(shares, first &- j, end &- j, outside: 0)
        }
        sums = multiplyAdd(sums, weights, shares)
        squares = multiplyAdd(squares, shares, shares)
        j &+= lanes
    }
    target[0] = total(sums)
    target[1] = total(squares)
}

/// Π ((d_j − origins_i) − offsets_i) / (d_j − denominators_i) over a range of i.
@inline(__always)
private func product(
    _ task: SecularProduct, from first: Int, to end: Int, denominators: UnsafePointer<Double>
) -> Double {
    let lanes = DoubleVector.scalarCount
    let pole = DoubleVector(repeating: task.poles[task.index])
    var products = DoubleVector(repeating: 1)
    var i = first / lanes &* lanes
    while i < end {
        // Two quotients by one division. Differences are far from the ends of the range of Double, as the matrix is
        // scaled to norm 1 and nothing is left that deflates.
        var (above, below) = differences(task, i, pole, denominators)
        if i < first || i &+ lanes > end {
            above = masked(above, first &- i, end &- i, outside: 1)
            below = masked(below, first &- i, end &- i, outside: 1)
        }
        i &+= lanes
        if i < end {
            var next = differences(task, i, pole, denominators)
            if i &+ lanes > end {
                next.above = masked(next.above, 0, end &- i, outside: 1)
                next.below = masked(next.below, 0, end &- i, outside: 1)
            }
            above *= next.above
            below *= next.below
            i &+= lanes
        }
        products *= above / below
    }
    var product = 1.0
    for lane in 0..<lanes { product *= products[lane] }
    return product
}

@inline(__always)
private func differences(
    _ task: SecularProduct, _ i: Int, _ pole: DoubleVector, _ denominators: UnsafePointer<Double>
) -> (above: DoubleVector, below: DoubleVector) {
    ((pole - load(task.origins + i)) - load(task.offsets + i), pole - load(denominators + i))
}

@inline(__always)
private func makeVector(_ task: SecularVector) {
    let lanes = DoubleVector.scalarCount
    let origin = DoubleVector(repeating: task.origin), offset = DoubleVector(repeating: task.offset)
    var squares = DoubleVector.zero
    var j = 0
    while j < task.count {
        var shares = load(task.weights + j) / ((load(task.poles + j) - origin) - offset)
        if j &+ lanes > task.count { shares = masked(shares, 0, task.count &- j, outside: 0) }
        squares = multiplyAdd(squares, shares, shares)
        store(shares, task.vector + j)
        j &+= lanes
    }
    let inverse = DoubleVector(repeating: 1 / total(squares).squareRoot())
    j = 0
    while j < task.count {
        store(load(task.vector + j) * inverse, task.vector + j)
        j &+= lanes
    }
}

/// The lanes first ..< end, and another number in the others.
@inline(__always)
private func masked(_ vector: DoubleVector, _ first: Int, _ end: Int, outside: Double) -> DoubleVector {
    var lanes = DoubleVector.zero
    for lane in 0..<DoubleVector.scalarCount { lanes[lane] = Double(lane) }
    let other = DoubleVector(repeating: outside)
    var result = vector
    result.replace(with: other, where: lanes .< DoubleVector(repeating: Double(first)))
    result.replace(with: other, where: lanes .>= DoubleVector(repeating: Double(end)))
    return result
}

@inline(__always)
private func total(_ vector: DoubleVector) -> Double {
    var sum = vector[0]
    for lane in 1..<DoubleVector.scalarCount { sum += vector[lane] }
    return sum
}

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
