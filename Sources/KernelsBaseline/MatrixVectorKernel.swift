import KernelContract

// Products of a matrix with one vector: every element of the matrix is used once, so they are bound by memory and widen
// 16-bit numbers in registers. What a result is made of never depends on which rows or columns are computed beside it.

var rowProducts32: Kernel<RowProducts> {
    Kernel { rowProducts($0.load(as: RowProducts.self), FloatVector.self) }
}

var rowProducts64: Kernel<RowProducts> {
    Kernel { rowProducts($0.load(as: RowProducts.self), DoubleVector.self) }
}

var rowCombination32: Kernel<RowCombination> {
    Kernel { rowCombination($0.load(as: RowCombination.self), FloatVector.self) }
}

var rowCombination64: Kernel<RowCombination> {
    Kernel { rowCombination($0.load(as: RowCombination.self), DoubleVector.self) }
}

var pairUpdate32: Kernel<PairUpdate> {
    Kernel { pairUpdate($0.load(as: PairUpdate.self), FloatVector.self) }
}

var pairUpdate64: Kernel<PairUpdate> {
    Kernel { pairUpdate($0.load(as: PairUpdate.self), DoubleVector.self) }
}

var dot32: Kernel<RunDot> {
    Kernel { dot($0.load(as: RunDot.self), FloatVector.self) }
}

var dot64: Kernel<RunDot> {
    Kernel { dot($0.load(as: RunDot.self), DoubleVector.self) }
}

@inline(__always)
private func rowProducts<V: SIMD>(_ task: RowProducts, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    switch task.format {
    case StorageFormat.float32: rowProducts(task, V.self) { V.Scalar(readFloat32($0, $1)) }
    case StorageFormat.bfloat16: rowProducts(task, V.self) { V.Scalar(readBFloat16($0, $1)) }
    case StorageFormat.float16: rowProducts(task, V.self) { V.Scalar(readFloat16($0, $1)) }
    default: rowProducts(task, V.self) { V.Scalar(readFloat64($0, $1)) }
    }
}

/// Four rows at a time, to use each vector of x four times and to keep four streams from memory going.
@inline(__always)
private func rowProducts<V: SIMD>(_ task: RowProducts, _: V.Type, _ read: (UnsafeRawPointer, Int) -> V.Scalar)
where V.Scalar: BinaryFloatingPoint {
    var row = 0
    while row < task.rows {
        // The last group repeats the last row rather than having code of its own.
        let last = task.rows &- 1
        let starts = (
            row &* task.rowStride, min(row &+ 1, last) &* task.rowStride, min(row &+ 2, last) &* task.rowStride,
            min(row &+ 3, last) &* task.rowStride
        )
        let sums = fourProducts(task, starts, V.self, read)
        put(task, row, sums.0)
        if row &+ 1 < task.rows { put(task, row &+ 1, sums.1) }
        if row &+ 2 < task.rows { put(task, row &+ 2, sums.2) }
        if row &+ 3 < task.rows { put(task, row &+ 3, sums.3) }
        row &+= 4
    }
}

@inline(__always)
private func fourProducts<V: SIMD>(
    _ task: RowProducts, _ starts: (Int, Int, Int, Int), _: V.Type, _ read: (UnsafeRawPointer, Int) -> V.Scalar
) -> (V.Scalar, V.Scalar, V.Scalar, V.Scalar) where V.Scalar: BinaryFloatingPoint {
    let lanes = V.scalarCount
    let x = task.x.assumingMemoryBound(to: V.Scalar.self)
    let source = task.matrix
    var (s00, s10, s20, s30) = (V.zero, V.zero, V.zero, V.zero)
    var (s01, s11, s21, s31) = (V.zero, V.zero, V.zero, V.zero)
    var p = 0
    while p &+ 2 &* lanes <= task.depth {
        let x0: V = load(x + p)
        let x1: V = load(x + (p &+ lanes))
        s00 = multiplyAdd(s00, gather(source, starts.0 &+ p, read), x0)
        s01 = multiplyAdd(s01, gather(source, starts.0 &+ p &+ lanes, read), x1)
        s10 = multiplyAdd(s10, gather(source, starts.1 &+ p, read), x0)
        s11 = multiplyAdd(s11, gather(source, starts.1 &+ p &+ lanes, read), x1)
        s20 = multiplyAdd(s20, gather(source, starts.2 &+ p, read), x0)
        s21 = multiplyAdd(s21, gather(source, starts.2 &+ p &+ lanes, read), x1)
        s30 = multiplyAdd(s30, gather(source, starts.3 &+ p, read), x0)
        s31 = multiplyAdd(s31, gather(source, starts.3 &+ p &+ lanes, read), x1)
        p &+= 2 &* lanes
    }
    var sums = (add(s00 + s01), add(s10 + s11), add(s20 + s21), add(s30 + s31))
    while p < task.depth {
        sums.0 = multiplyAdd(sums.0, read(source, starts.0 &+ p), x[p])
        sums.1 = multiplyAdd(sums.1, read(source, starts.1 &+ p), x[p])
        sums.2 = multiplyAdd(sums.2, read(source, starts.2 &+ p), x[p])
        sums.3 = multiplyAdd(sums.3, read(source, starts.3 &+ p), x[p])
        p &+= 1
    }
    return sums
}

@inline(__always)
private func put<Scalar: BinaryFloatingPoint>(_ task: RowProducts, _ row: Int, _ sum: Scalar) {
    let element = task.result.assumingMemoryBound(to: Scalar.self) + row &* task.resultStride
    let product = Scalar(task.alpha) * sum
    element.pointee = task.beta == 0 ? product : multiplyAdd(product, Scalar(task.beta), element.pointee)
}

@inline(__always)
private func rowCombination<V: SIMD>(_ task: RowCombination, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    switch task.format {
    case StorageFormat.float32: rowCombination(task, V.self) { V.Scalar(readFloat32($0, $1)) }
    case StorageFormat.bfloat16: rowCombination(task, V.self) { V.Scalar(readBFloat16($0, $1)) }
    case StorageFormat.float16: rowCombination(task, V.self) { V.Scalar(readFloat16($0, $1)) }
    default: rowCombination(task, V.self) { V.Scalar(readFloat64($0, $1)) }
    }
}

/// Four rows at a time, so that the result, which stays in L1, is read and written once for four rows of the matrix.
@inline(__always)
private func rowCombination<V: SIMD>(_ task: RowCombination, _: V.Type, _ read: (UnsafeRawPointer, Int) -> V.Scalar)
where V.Scalar: BinaryFloatingPoint {
    let lanes = V.scalarCount
    let x = task.x.assumingMemoryBound(to: V.Scalar.self)
    let result = task.result.assumingMemoryBound(to: V.Scalar.self)
    let whole = task.columns &- task.columns % lanes
    var row = 0
    while row &+ 4 <= task.rows {
        let start = row &* task.rowStride
        let (x0, x1, x2, x3) = (x[row], x[row &+ 1], x[row &+ 2], x[row &+ 3])
        let (r1, r2, r3) = (start &+ task.rowStride, start &+ 2 &* task.rowStride, start &+ 3 &* task.rowStride)
        var j = 0
        while j < whole {
            var sum: V = load(result + j)
            sum = multiplyAdd(sum, V(repeating: x0), gather(task.matrix, start &+ j, read))
            sum = multiplyAdd(sum, V(repeating: x1), gather(task.matrix, r1 &+ j, read))
            sum = multiplyAdd(sum, V(repeating: x2), gather(task.matrix, r2 &+ j, read))
            sum = multiplyAdd(sum, V(repeating: x3), gather(task.matrix, r3 &+ j, read))
            store(sum, result + j)
            j &+= lanes
        }
        while j < task.columns {
            var sum = multiplyAdd(result[j], x0, read(task.matrix, start &+ j))
            sum = multiplyAdd(sum, x1, read(task.matrix, r1 &+ j))
            sum = multiplyAdd(sum, x2, read(task.matrix, r2 &+ j))
            result[j] = multiplyAdd(sum, x3, read(task.matrix, r3 &+ j))
            j &+= 1
        }
        row &+= 4
    }
    while row < task.rows {
        let start = row &* task.rowStride
        var j = 0
        while j < whole {
            store(multiplyAdd(load(result + j), V(repeating: x[row]), gather(task.matrix, start &+ j, read)), result + j)
            j &+= lanes
        }
        while j < task.columns {
            result[j] = multiplyAdd(result[j], x[row], read(task.matrix, start &+ j))
            j &+= 1
        }
        row &+= 1
    }
}

@inline(__always)
private func pairUpdate<V: SIMD>(_ task: PairUpdate, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let lanes = V.scalarCount
    let x1 = task.x1.assumingMemoryBound(to: V.Scalar.self)
    let x2 = task.x2.assumingMemoryBound(to: V.Scalar.self)
    let y1 = task.y1.assumingMemoryBound(to: V.Scalar.self)
    let y2 = task.y2.assumingMemoryBound(to: V.Scalar.self)
    for i in 0..<task.rows {
        let row = task.matrix.assumingMemoryBound(to: V.Scalar.self) + i &* task.rowStride
        var j = 0
        while j &+ lanes <= task.columns {
            let sum: V = multiplyAdd(load(row + j), V(repeating: x1[i]), load(y1 + j))
            store(multiplyAdd(sum, V(repeating: x2[i]), load(y2 + j)), row + j)
            j &+= lanes
        }
        while j < task.columns {
            row[j] = multiplyAdd(multiplyAdd(row[j], x1[i], y1[j]), x2[i], y2[j])
            j &+= 1
        }
    }
}

@inline(__always)
private func dot<V: SIMD>(_ task: RunDot, _: V.Type) where V.Scalar: BinaryFloatingPoint {
    let lanes = V.scalarCount
    let x = task.x.assumingMemoryBound(to: V.Scalar.self)
    let y = task.y.assumingMemoryBound(to: V.Scalar.self)
    var (s0, s1, s2, s3) = (V.zero, V.zero, V.zero, V.zero)
    var i = 0
    while i &+ 4 &* lanes <= task.count {
        s0 = multiplyAdd(s0, load(x + i), load(y + i))
        s1 = multiplyAdd(s1, load(x + (i &+ lanes)), load(y + (i &+ lanes)))
        s2 = multiplyAdd(s2, load(x + (i &+ 2 &* lanes)), load(y + (i &+ 2 &* lanes)))
        s3 = multiplyAdd(s3, load(x + (i &+ 3 &* lanes)), load(y + (i &+ 3 &* lanes)))
        i &+= 4 &* lanes
    }
    while i &+ lanes <= task.count {
        s0 = multiplyAdd(s0, load(x + i), load(y + i))
        i &+= lanes
    }
    var sum = add((s0 + s1) + (s2 + s3))
    while i < task.count {
        sum = multiplyAdd(sum, x[i], y[i])
        i &+= 1
    }
    task.result.assumingMemoryBound(to: V.Scalar.self).pointee = sum
}

/// A vector of neighbours in the matrix, widened.
@inline(__always)
private func gather<V: SIMD>(_ source: UnsafeRawPointer, _ start: Int, _ read: (UnsafeRawPointer, Int) -> V.Scalar) -> V
where V.Scalar: BinaryFloatingPoint {
    var vector = V.zero
    for lane in 0..<V.scalarCount {
        vector[lane] = read(source, start &+ lane)
    }
    return vector
}

/// Sum of the lanes, by halves.
@inline(__always)
private func add<V: SIMD>(_ vector: V) -> V.Scalar where V.Scalar: BinaryFloatingPoint {
    var lanes = vector
    var half = V.scalarCount / 2
    while half > 0 {
        for lane in 0..<half {
            lanes[lane] += lanes[lane &+ half]
        }
        half /= 2
    }
    return lanes[0]
}

@inline(__always)
private func load<V: SIMD>(_ pointer: UnsafePointer<V.Scalar>) -> V {
    UnsafeRawPointer(pointer).loadUnaligned(as: V.self)
}

@inline(__always)
private func store<V: SIMD>(_ vector: V, _ pointer: UnsafeMutablePointer<V.Scalar>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: vector, as: V.self)
}

@inline(__always)
private func multiplyAdd<V: SIMD>(_ sum: V, _ x: V, _ y: V) -> V where V.Scalar: BinaryFloatingPoint {
    #if FMA || arch(arm64)
    sum.addingProduct(x, y)
    #else
    sum + x * y
    #endif
}

@inline(__always)
private func multiplyAdd<Scalar: BinaryFloatingPoint>(_ sum: Scalar, _ x: Scalar, _ y: Scalar) -> Scalar {
    #if FMA || arch(arm64)
    sum.addingProduct(x, y)
    #else
    sum + x * y
    #endif
}
