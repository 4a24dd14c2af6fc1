import KernelContract

// Packing: a rectangle of an operand, in any format and stride, becomes strips that the micro-kernel reads in order.
//
// Numbers are widened on the way, so no other copy of a weight is ever needed. A source that is contiguous across the
// strips is copied; one that is contiguous along the depth is transposed in registers, four by four.

#if AVX512 || arch(arm64)
private let tileRows = 14
#else
private let tileRows = 6
#endif

var packRows32: Kernel<StripPacking> {
    Kernel { pack32($0.load(as: StripPacking.self), tileRows) }
}

var packRows64: Kernel<StripPacking> {
    Kernel { pack64($0.load(as: StripPacking.self), tileRows) }
}

var packColumns32: Kernel<StripPacking> {
    Kernel { pack32($0.load(as: StripPacking.self), 2 &* FloatVector.scalarCount) }
}

var packColumns64: Kernel<StripPacking> {
    Kernel { pack64($0.load(as: StripPacking.self), 2 &* DoubleVector.scalarCount) }
}

@inline(__always)
private func pack32(_ task: StripPacking, _ width: Int) {
    switch task.format {
    case StorageFormat.float32: pack(task, width) { readFloat32($0, $1) }
    case StorageFormat.bfloat16: pack(task, width) { readBFloat16($0, $1) }
    case StorageFormat.float16: pack(task, width) { readFloat16($0, $1) }
    default: pack(task, width) { Float(readFloat64($0, $1)) }
    }
}

@inline(__always)
private func pack64(_ task: StripPacking, _ width: Int) {
    switch task.format {
    case StorageFormat.float32: pack(task, width) { Double(readFloat32($0, $1)) }
    case StorageFormat.bfloat16: pack(task, width) { Double(readBFloat16($0, $1)) }
    case StorageFormat.float16: pack(task, width) { Double(readFloat16($0, $1)) }
    default: pack(task, width) { readFloat64($0, $1) }
    }
}

@inline(__always)
private func pack<Scalar: BinaryFloatingPoint & SIMDScalar>(
    _ task: StripPacking, _ width: Int, _ read: (UnsafeRawPointer, Int) -> Scalar
) {
    var target = task.target.assumingMemoryBound(to: Scalar.self)
    var first = 0
    while first < task.across {
        let offset = first &* task.acrossStride
        let valid = task.across &- first
        if valid >= width && task.acrossStride == 1 {
            copyStrip(task, offset, width, target, read)
        } else if valid >= width && task.alongStride == 1 {
            transposeStrip(task, offset, width, target, read)
        } else {
            gatherStrip(task, offset, (width, min(valid, width)), target, read)
        }
        target += width &* task.depth
        first &+= width
    }
}

@inline(__always)
private func copyStrip<Scalar: BinaryFloatingPoint & SIMDScalar>(
    _ task: StripPacking, _ offset: Int, _ width: Int, _ target: UnsafeMutablePointer<Scalar>,
    _ read: (UnsafeRawPointer, Int) -> Scalar
) {
    for p in 0..<task.depth {
        let start = offset &+ p &* task.alongStride
        let out = target + p &* width
        for i in 0..<width {
            out[i] = read(task.source, start &+ i)
        }
    }
}

@inline(__always)
private func transposeStrip<Scalar: BinaryFloatingPoint & SIMDScalar>(
    _ task: StripPacking, _ offset: Int, _ width: Int, _ target: UnsafeMutablePointer<Scalar>,
    _ read: (UnsafeRawPointer, Int) -> Scalar
) {
    // A run of 16 keeps whole cache lines of every row in use before the next is touched.
    let run = 16
    var p = 0
    while p &+ run <= task.depth {
        var i = 0
        while i &+ 4 <= width {
            var q = p
            while q < p &+ run {
                let start = offset &+ i &* task.acrossStride &+ q
                transposeFour(task, start, width, target + (q &* width &+ i), read)
                q &+= 4
            }
            i &+= 4
        }
        while i < width {
            let start = offset &+ i &* task.acrossStride
            for q in p..<(p &+ run) {
                target[q &* width &+ i] = read(task.source, start &+ q)
            }
            i &+= 1
        }
        p &+= run
    }
    for p in p..<task.depth {
        for i in 0..<width {
            target[p &* width &+ i] = read(task.source, offset &+ i &* task.acrossStride &+ p)
        }
    }
}

/// Four elements of four rows become four elements of four columns.
@inline(__always)
private func transposeFour<Scalar: BinaryFloatingPoint & SIMDScalar>(
    _ task: StripPacking, _ start: Int, _ width: Int, _ out: UnsafeMutablePointer<Scalar>,
    _ read: (UnsafeRawPointer, Int) -> Scalar
) {
    let row0 = readFour(task.source, start, read)
    let row1 = readFour(task.source, start &+ task.acrossStride, read)
    let row2 = readFour(task.source, start &+ 2 &* task.acrossStride, read)
    let row3 = readFour(task.source, start &+ 3 &* task.acrossStride, read)
    for q in 0..<4 {
        let column = SIMD4(row0[q], row1[q], row2[q], row3[q])
        UnsafeMutableRawPointer(out + q &* width).storeBytes(of: column, as: SIMD4<Scalar>.self)
    }
}

@inline(__always)
private func readFour<Scalar: BinaryFloatingPoint & SIMDScalar>(
    _ source: UnsafeRawPointer, _ start: Int, _ read: (UnsafeRawPointer, Int) -> Scalar
) -> SIMD4<Scalar> {
    SIMD4(read(source, start), read(source, start &+ 1), read(source, start &+ 2), read(source, start &+ 3))
}

@inline(__always)
private func gatherStrip<Scalar: BinaryFloatingPoint & SIMDScalar>(
    _ task: StripPacking, _ offset: Int, _ width: (full: Int, valid: Int), _ target: UnsafeMutablePointer<Scalar>,
    _ read: (UnsafeRawPointer, Int) -> Scalar
) {
    for p in 0..<task.depth {
        let out = target + p &* width.full
        for i in 0..<width.valid {
            out[i] = read(task.source, offset &+ i &* task.acrossStride &+ p &* task.alongStride)
        }
        for i in width.valid..<width.full {
            out[i] = 0
        }
    }
}
