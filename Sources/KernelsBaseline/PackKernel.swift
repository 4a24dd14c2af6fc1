import KernelContract

// Packing: a rectangle of an operand, in any format and stride, becomes strips that the micro-kernel reads in order.
//
// Numbers are widened on the way, so no other copy of a weight is ever needed. A source that is contiguous across the
// strips is copied; one that is contiguous along the depth is transposed in registers, four rows at a time.

#if AVX512 || arch(arm64)
private let tileRows = 14
#else
private let tileRows = 6
#endif

#if AVX512 || AVX2
private typealias DoublePackVector = DoubleVector
#else
private typealias DoublePackVector = SIMD4<Double>
#endif

var packRows32: Kernel<StripPacking> {
    Kernel { pack($0.load(as: StripPacking.self), tileRows, FloatVector.self) }
}

var packRows64: Kernel<StripPacking> {
    Kernel { pack($0.load(as: StripPacking.self), tileRows, DoublePackVector.self) }
}

var packColumns32: Kernel<StripPacking> {
    Kernel { pack($0.load(as: StripPacking.self), 2 &* FloatVector.scalarCount, FloatVector.self) }
}

var packColumns64: Kernel<StripPacking> {
    Kernel { pack($0.load(as: StripPacking.self), 2 &* DoubleVector.scalarCount, DoublePackVector.self) }
}

@inline(__always)
private func pack<V: SIMD>(_ task: StripPacking, _ width: Int, _: V.Type)
where V.Scalar: BinaryFloatingPoint & SIMDScalar {
    switch task.format {
    case StorageFormat.float32: pack(task, width, V.self) { V.Scalar(readFloat32($0, $1)) }
    case StorageFormat.bfloat16: pack(task, width, V.self) { V.Scalar(readBFloat16($0, $1)) }
    case StorageFormat.float16: pack(task, width, V.self) { V.Scalar(readFloat16($0, $1)) }
    default: pack(task, width, V.self) { V.Scalar(readFloat64($0, $1)) }
    }
}

@inline(__always)
private func pack<V: SIMD>(_ task: StripPacking, _ width: Int, _: V.Type, _ read: (UnsafeRawPointer, Int) -> V.Scalar)
where V.Scalar: BinaryFloatingPoint & SIMDScalar {
    if task.acrossStride == 1 {
        copyStrips(task, width, V.self, read)
    } else if task.alongStride == 1 {
        transposeStrips(task, width, V.self, read)
    } else {
        gatherStrips(task, width, 0, read)
    }
}

/// Row after row of the source, several strips at a time: runs that are worth fetching.
@inline(__always)
private func copyStrips<V: SIMD>(
    _ task: StripPacking, _ width: Int, _: V.Type, _ read: (UnsafeRawPointer, Int) -> V.Scalar
) where V.Scalar: BinaryFloatingPoint & SIMDScalar {
    let group = 4
    let target = task.target.assumingMemoryBound(to: V.Scalar.self)
    let whole = task.across / width
    var first = 0
    while first < whole {
        let last = min(first &+ group, whole)
        for p in 0..<task.depth {
            var strip = first
            while strip < last {
                let start = strip &* width &+ p &* task.alongStride
                let out = target + (strip &* task.depth &+ p) &* width
                var i = 0
                while i &+ V.scalarCount <= width {
                    let run: V = gather(task.source, start &+ i, read)
                    store(run, out + i)
                    i &+= V.scalarCount
                }
                while i &+ 2 <= width {
                    let run: SIMD2<V.Scalar> = gather(task.source, start &+ i, read)
                    store(run, out + i)
                    i &+= 2
                }
                strip &+= 1
            }
        }
        first = last
    }
    gatherStrips(task, width, whole, read)
}

@inline(__always)
private func transposeStrips<V: SIMD>(
    _ task: StripPacking, _ width: Int, _: V.Type, _ read: (UnsafeRawPointer, Int) -> V.Scalar
) where V.Scalar: BinaryFloatingPoint & SIMDScalar {
    let target = task.target.assumingMemoryBound(to: V.Scalar.self)
    let whole = task.depth &- task.depth % V.scalarCount
    var first = 0
    while first < task.across {
        let rows = min(width, task.across &- first)
        let strip = target + first &* task.depth
        var p = 0
        while p < whole {
            var i = 0
            while i &+ 4 <= width {
                transposeFour(task, (first &+ i, rows &- i, p), (strip + (p &* width &+ i), width), V.self, read)
                i &+= 4
            }
            // Strips are even, so that what remains is two rows.
            if i < width {
                transposeTwo(task, (first &+ i, rows &- i, p), (strip + (p &* width &+ i), width), V.self, read)
            }
            p &+= V.scalarCount
        }
        while p < task.depth {
            for i in 0..<width {
                strip[p &* width &+ i] = i < rows ? read(task.source, (first &+ i) &* task.acrossStride &+ p) : 0
            }
            p &+= 1
        }
        first &+= width
    }
}

/// A vector of each of four rows becomes four elements of each of as many columns as a vector has lanes.
/// - Parameters:
///   - corner: the first row, the number of rows from there that exist, the first column.
///   - out: where the first column goes, and how far it is to the next.
@inline(__always)
private func transposeFour<V: SIMD>(
    _ task: StripPacking, _ corner: (row: Int, rows: Int, column: Int),
    _ out: (start: UnsafeMutablePointer<V.Scalar>, stride: Int), _: V.Type, _ read: (UnsafeRawPointer, Int) -> V.Scalar
) where V.Scalar: BinaryFloatingPoint & SIMDScalar {
    let start = corner.row &* task.acrossStride &+ corner.column
    var (r0, r1, r2, r3) = (V.zero, V.zero, V.zero, V.zero)
    if corner.rows > 0 { r0 = gather(task.source, start, read) }
    if corner.rows > 1 { r1 = gather(task.source, start &+ task.acrossStride, read) }
    if corner.rows > 2 { r2 = gather(task.source, start &+ 2 &* task.acrossStride, read) }
    if corner.rows > 3 { r3 = gather(task.source, start &+ 3 &* task.acrossStride, read) }
    let (even0, even1) = (interleave(r0, r2, 0), interleave(r0, r2, 1))
    let (odd0, odd1) = (interleave(r1, r3, 0), interleave(r1, r3, 1))
    putFour(interleave(even0, odd0, 0), out.start, out.stride)
    putFour(interleave(even0, odd0, 1), out.start + V.scalarCount / 4 &* out.stride, out.stride)
    putFour(interleave(even1, odd1, 0), out.start + V.scalarCount / 2 &* out.stride, out.stride)
    putFour(interleave(even1, odd1, 1), out.start + 3 &* V.scalarCount / 4 &* out.stride, out.stride)
}

/// As `transposeFour`, with two rows.
@inline(__always)
private func transposeTwo<V: SIMD>(
    _ task: StripPacking, _ corner: (row: Int, rows: Int, column: Int),
    _ out: (start: UnsafeMutablePointer<V.Scalar>, stride: Int), _: V.Type, _ read: (UnsafeRawPointer, Int) -> V.Scalar
) where V.Scalar: BinaryFloatingPoint & SIMDScalar {
    let start = corner.row &* task.acrossStride &+ corner.column
    var (r0, r1) = (V.zero, V.zero)
    if corner.rows > 0 { r0 = gather(task.source, start, read) }
    if corner.rows > 1 { r1 = gather(task.source, start &+ task.acrossStride, read) }
    putTwo(interleave(r0, r1, 0), out.start, out.stride)
    putTwo(interleave(r0, r1, 1), out.start + V.scalarCount / 2 &* out.stride, out.stride)
}

/// The lanes of one half of x and y in turn: x₀ y₀ x₁ y₁ …
@inline(__always)
private func interleave<V: SIMD>(_ x: V, _ y: V, _ half: Int) -> V {
    var result = x
    let first = half &* V.scalarCount / 2
    for lane in 0..<(V.scalarCount / 2) {
        result[2 &* lane] = x[first &+ lane]
        result[2 &* lane &+ 1] = y[first &+ lane]
    }
    return result
}

/// Each four lanes go to a column of their own.
@inline(__always)
private func putFour<V: SIMD>(_ v: V, _ out: UnsafeMutablePointer<V.Scalar>, _ stride: Int)
where V.Scalar: SIMDScalar {
    for column in 0..<(V.scalarCount / 4) {
        let i = 4 &* column
        store(SIMD4(v[i], v[i &+ 1], v[i &+ 2], v[i &+ 3]), out + column &* stride)
    }
}

@inline(__always)
private func putTwo<V: SIMD>(_ v: V, _ out: UnsafeMutablePointer<V.Scalar>, _ stride: Int)
where V.Scalar: SIMDScalar {
    for column in 0..<(V.scalarCount / 2) {
        store(SIMD2(v[2 &* column], v[2 &* column &+ 1]), out + column &* stride)
    }
}

/// Element after element, from strip `first` on: for the strip at the edge, and for strides that have no runs.
@inline(__always)
private func gatherStrips<Scalar: BinaryFloatingPoint>(
    _ task: StripPacking, _ width: Int, _ first: Int, _ read: (UnsafeRawPointer, Int) -> Scalar
) {
    var row = first &* width
    while row < task.across {
        let rows = min(width, task.across &- row)
        let strip = task.target.assumingMemoryBound(to: Scalar.self) + row &* task.depth
        for p in 0..<task.depth {
            let out = strip + p &* width
            for i in 0..<rows {
                out[i] = read(task.source, (row &+ i) &* task.acrossStride &+ p &* task.alongStride)
            }
            for i in rows..<width {
                out[i] = 0
            }
        }
        row &+= width
    }
}

/// A vector of neighbours in the source, widened.
@inline(__always)
private func gather<V: SIMD>(_ source: UnsafeRawPointer, _ start: Int, _ read: (UnsafeRawPointer, Int) -> V.Scalar) -> V
where V.Scalar: BinaryFloatingPoint & SIMDScalar {
    var vector = V.zero
    for lane in 0..<V.scalarCount {
        vector[lane] = read(source, start &+ lane)
    }
    return vector
}

@inline(__always)
private func store<V: SIMD>(_ vector: V, _ pointer: UnsafeMutablePointer<V.Scalar>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: vector, as: V.self)
}
