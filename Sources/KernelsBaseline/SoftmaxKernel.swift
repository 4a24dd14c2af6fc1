import KernelContract

// Softmax of a run: bound by the exponential, so it is compiled for the widest vectors.

var softmaxRun: Kernel<RunSoftmax> {
    Kernel { softmax($0.load(as: RunSoftmax.self)) }
}

@inline(__always)
private func softmax(_ task: RunSoftmax) {
    let p = task.values
    let count = task.count
    let lanes = FloatVector.scalarCount
    let largest = maximum(p, count)
    var sums = FloatVector.zero
    var i = 0
    while i &+ lanes <= count {
        let value = exponential(load(p + i) - largest)
        store(value, p + i)
        sums += value
        i &+= lanes
    }
    if i < count {
        var tail = FloatVector(repeating: -.infinity)
        for j in i..<count { tail[j &- i] = p[j] - largest }
        tail = exponential(tail)
        for j in i..<count {
            p[j] = tail[j &- i]
            sums[j &- i] += tail[j &- i]
        }
    }
    var total: Float = 0
    for lane in 0..<lanes { total += sums[lane] }
    let factor = 1 / total
    i = 0
    while i &+ lanes <= count {
        store(load(p + i) * factor, p + i)
        i &+= lanes
    }
    while i < count {
        p[i] *= factor
        i &+= 1
    }
}

/// The largest number of a run that is not empty. A NaN may be passed over: then the exponentials are NaN or infinite,
/// and with them the sum.
@inline(__always)
private func maximum(_ p: UnsafeMutablePointer<Float>, _ count: Int) -> Float {
    let lanes = FloatVector.scalarCount
    var best = FloatVector(repeating: p[0])
    var i = 0
    while i &+ lanes <= count {
        let next = load(p + i)
        best.replace(with: next, where: next .> best)
        i &+= lanes
    }
    var largest = best[0]
    for lane in 1..<lanes where best[lane] > largest { largest = best[lane] }
    while i < count {
        if p[i] > largest { largest = p[i] }
        i &+= 1
    }
    return largest
}

/// e^x for x ≤ 0, within 2 units of the last place; below −87 it stays at the smallest normal number, NaN stays NaN.
///
/// x = n · ln 2 + r, a polynomial of degree 6 in r (Cephes, `expf`), and n put into the exponent.
@inline(__always)
private func exponential(_ x: FloatVector) -> FloatVector {
    let low = FloatVector(repeating: -87.33654)
    let bounded = x.replacing(with: low, where: x .< low)
    // Adding 1.5 · 2²³ rounds to a whole number, which then stands in the low bits.
    let shifted = bounded * 1.442_695_04 + 12_582_912
    let n = shifted - 12_582_912
    let r = (bounded - n * 0.693_359_375) - n * -2.121_944_4e-4
    var y = r * 1.987_569_15e-4 + 1.398_199_95e-3
    y = y * r + 8.333_451_9e-3
    y = y * r + 4.166_579_6e-2
    y = y * r + 1.666_666_55e-1
    y = y * r + 5.000_000_1e-1
    y = y * (r * r) + r + 1
    let bits = unsafeBitCast(shifted, to: FloatVector.MaskStorage.self)
    let power = (bits &- FloatVector.MaskStorage(repeating: 0x4B40_0000 &- 127)) &<< 23
    return y * unsafeBitCast(power, to: FloatVector.self)
}

@inline(__always)
private func load(_ p: UnsafeMutablePointer<Float>) -> FloatVector {
    UnsafeRawPointer(p).loadUnaligned(as: FloatVector.self)
}

@inline(__always)
private func store(_ value: FloatVector, _ p: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(p).storeBytes(of: value, as: FloatVector.self)
}
