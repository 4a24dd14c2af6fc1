import KernelContract

// What the machine can do at best, for figures to be held against.

var peak32: Kernel<PeakTask> {
    Kernel { peak($0.load(as: PeakTask.self), FloatVector.self) }
}

var peak64: Kernel<PeakTask> {
    Kernel { peak($0.load(as: PeakTask.self), DoubleVector.self) }
}

@inline(__always)
private func peak<V: SIMD>(_ task: PeakTask, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let numbers = task.numbers.assumingMemoryBound(to: V.Scalar.self)
    let x = V(repeating: numbers[0])
    let y = V(repeating: numbers[1])
    var (s0, s1, s2, s3) = (x, x, x, x)
    var (s4, s5, s6, s7) = (x, x, x, x)
    var (s8, s9, sa, sb) = (x, x, x, x)
    for _ in 0..<task.count {
        (s0, s1, s2) = (multiplyAdd(s0, x, y), multiplyAdd(s1, x, y), multiplyAdd(s2, x, y))
        (s3, s4, s5) = (multiplyAdd(s3, x, y), multiplyAdd(s4, x, y), multiplyAdd(s5, x, y))
        (s6, s7, s8) = (multiplyAdd(s6, x, y), multiplyAdd(s7, x, y), multiplyAdd(s8, x, y))
        (s9, sa, sb) = (multiplyAdd(s9, x, y), multiplyAdd(sa, x, y), multiplyAdd(sb, x, y))
    }
    let sum = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)) + ((s8 + s9) + (sa + sb))
    numbers[0] = sum[0]
}

/// As the micro-kernel does it: two operations where there is no fused one. The product must not be a constant of the
/// loop, or it would be computed once.
@inline(__always)
private func multiplyAdd<V: SIMD>(_ sum: V, _ x: V, _ y: V) -> V where V.Scalar: BinaryFloatingPoint {
    #if FMA || arch(arm64)
    sum.addingProduct(x, y)
    #else
    x + sum * y
    #endif
}

var readMemory: Kernel<ReadTask> {
    Kernel { read($0.load(as: ReadTask.self)) }
}

@inline(__always)
private func read(_ task: ReadTask) {
    var (s0, s1, s2, s3) = (SIMD8<UInt64>.zero, SIMD8<UInt64>.zero, SIMD8<UInt64>.zero, SIMD8<UInt64>.zero)
    var offset = 0
    while offset < task.bytes {
        s0 ^= load(task.memory + offset) ^ load(task.memory + (offset &+ 256))
        s1 ^= load(task.memory + (offset &+ 64)) ^ load(task.memory + (offset &+ 320))
        s2 ^= load(task.memory + (offset &+ 128)) ^ load(task.memory + (offset &+ 384))
        s3 ^= load(task.memory + (offset &+ 192)) ^ load(task.memory + (offset &+ 448))
        offset &+= 512
    }
    let s = (s0 ^ s1) ^ (s2 ^ s3)
    task.result.pointee = ((s[0] ^ s[1]) ^ (s[2] ^ s[3])) ^ ((s[4] ^ s[5]) ^ (s[6] ^ s[7]))
}

@inline(__always)
private func load(_ pointer: UnsafeRawPointer) -> SIMD8<UInt64> {
    pointer.loadUnaligned(as: SIMD8<UInt64>.self)
}
