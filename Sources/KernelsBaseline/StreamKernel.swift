import KernelContract

// Passes over contiguous numbers. The loops without a sum are plain, because the optimiser vectorises them; the sums
// carry eight independent accumulators, whose order of addition is fixed.

var convertRun: Kernel<RunConversion> {
    Kernel { convert($0.load(as: RunConversion.self)) }
}

@inline(__always)
private func convert(_ task: RunConversion) {
    switch task.sourceFormat {
    case StorageFormat.float64: convert(task) { readFloat64($0, $1) }
    case StorageFormat.float32: convert(task) { readFloat32($0, $1) }
    case StorageFormat.bfloat16: convert(task) { readBFloat16($0, $1) }
    default: convert(task) { readFloat16($0, $1) }
    }
}

@inline(__always)
private func convert<Scalar: BinaryFloatingPoint>(_ task: RunConversion, _ read: (UnsafeRawPointer, Int) -> Scalar) {
    switch task.targetFormat {
    case StorageFormat.float64:
        let target = task.target.assumingMemoryBound(to: Double.self)
        for i in 0..<task.count { target[i] = Double(read(task.source, i)) }
    case StorageFormat.float32:
        let target = task.target.assumingMemoryBound(to: Float.self)
        for i in 0..<task.count { target[i] = Float(read(task.source, i)) }
    case StorageFormat.bfloat16:
        let target = task.target.assumingMemoryBound(to: UInt16.self)
        for i in 0..<task.count { target[i] = bfloat16(roundToOdd(read(task.source, i))) }
    default:
        let target = task.target.assumingMemoryBound(to: UInt16.self)
        for i in 0..<task.count { target[i] = float16(roundToOdd(read(task.source, i))) }
    }
}

var sumRunSquares: Kernel<RunSum> {
    Kernel { sumSquares($0.load(as: RunSum.self)) }
}

@inline(__always)
private func sumSquares(_ task: RunSum) {
    switch task.format {
    case StorageFormat.float64: task.result.pointee = sumSquares(task) { readFloat64($0, $1) }
    case StorageFormat.float32: task.result.pointee = sumSquares(task) { Double(readFloat32($0, $1)) }
    case StorageFormat.bfloat16: task.result.pointee = sumSquares(task) { Double(readBFloat16($0, $1)) }
    default: task.result.pointee = sumSquares(task) { Double(readFloat16($0, $1)) }
    }
}

@inline(__always)
private func sumSquares(_ task: RunSum, _ read: (UnsafeRawPointer, Int) -> Double) -> Double {
    if let b = task.b {
        return sumSquares(task.count) { read(task.a, $0) - read(b, $0) }
    }
    return sumSquares(task.count) { read(task.a, $0) }
}

@inline(__always)
private func sumSquares(_ count: Int, _ value: (Int) -> Double) -> Double {
    var (s0, s1, s2, s3) = (SIMD4<Double>.zero, SIMD4<Double>.zero, SIMD4<Double>.zero, SIMD4<Double>.zero)
    var i = 0
    while i &+ 16 <= count {
        addSquares(&s0, i, value)
        addSquares(&s1, i &+ 4, value)
        addSquares(&s2, i &+ 8, value)
        addSquares(&s3, i &+ 12, value)
        i &+= 16
    }
    let s = (s0 + s1) + (s2 + s3)
    var sum = (s[0] + s[1]) + (s[2] + s[3])
    while i < count {
        let x = value(i)
        sum += x * x
        i &+= 1
    }
    return sum
}

@inline(__always)
private func addSquares(_ sum: inout SIMD4<Double>, _ i: Int, _ value: (Int) -> Double) {
    let x = SIMD4(value(i), value(i &+ 1), value(i &+ 2), value(i &+ 3))
    sum += x * x
}

var checkRunFinite: Kernel<RunCheck> {
    Kernel { checkFinite($0.load(as: RunCheck.self)) }
}

@inline(__always)
private func checkFinite(_ task: RunCheck) {
    let finite =
        switch task.format {
        case StorageFormat.float64: largestMagnitude(task, UInt64.max >> 1) < Double.infinity.bitPattern
        case StorageFormat.float32: largestMagnitude(task, UInt32.max >> 1) < Float.infinity.bitPattern
        case StorageFormat.bfloat16: largestMagnitude(task, UInt16.max >> 1) < 0x7F80
        default: largestMagnitude(task, UInt16.max >> 1) < 0x7C00
        }
    task.result.pointee = finite ? 1 : 0
}

/// Bit patterns without their sign are ordered like the numbers, with infinity and then NaN above all finite ones.
@inline(__always)
private func largestMagnitude<Bits: FixedWidthInteger>(_ task: RunCheck, _ mask: Bits) -> Bits {
    let bits = task.a.assumingMemoryBound(to: Bits.self)
    var largest: Bits = 0
    for i in 0..<task.count {
        largest = max(largest, bits[i] & mask)
    }
    return largest
}

@inline(__always)
private func roundToOdd<Scalar: BinaryFloatingPoint>(_ value: Scalar) -> Float {
    Scalar.self == Double.self ? roundToOdd(Double(value)) : Float(value)
}

/// A Float that rounds on to 16 bits as `value` itself would: truncated, with the last bit telling that something was
/// cut off. Rounding to nearest twice would now and then end one step away.
@inline(__always)
private func roundToOdd(_ value: Double) -> Float {
    let nearest = Float(value)
    let back = Double(nearest)
    var bits = nearest.bitPattern
    bits = back.magnitude > value.magnitude ? bits &- 1 : bits
    return Float(bitPattern: back != value ? bits | 1 : bits)
}

/// The nearest bfloat16, ties to even; NaN stays NaN.
@inline(__always)
private func bfloat16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let rounded = (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16
    let quiet = bits >> 16 | 0x0040
    return UInt16(truncatingIfNeeded: bits & 0x7FFF_FFFF > 0x7F80_0000 ? quiet : rounded)
}

/// The nearest half, ties to even; NaN stays NaN, 65520 and above become infinity.
@inline(__always)
private func float16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let sign = (bits >> 16) & 0x8000
    let magnitude = bits & 0x7FFF_FFFF
    let normal = (magnitude &+ 0xFFF &+ ((magnitude >> 13) & 1) &- 0x3800_0000) >> 13
    // Adding ½ to a subnormal puts the wanted bits last, and the addition rounds to even.
    let subnormal = (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3F00_0000
    var result = magnitude >= 0x3880_0000 ? normal : subnormal
    result = magnitude >= 0x477F_F000 ? 0x7C00 : result
    result = magnitude > 0x7F80_0000 ? 0x7E00 | ((magnitude >> 13) & 0x1FF) : result
    return UInt16(truncatingIfNeeded: sign | result)
}
