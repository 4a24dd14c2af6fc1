import KernelContract

// Rows of a sparse matrix times a block of vectors. Every entry is one number of the matrix, broadcast, times a row of
// x that is contiguous over the vectors, so nothing is gathered and no zero is multiplied.

var sparseRows: Kernel<SparseRows> {
    Kernel {
        let task = $0.load(as: SparseRows.self)
        if task.vectors == SparseRows.widest {
            multiplyWide(task)
        } else {
            multiplyNarrow(task)
        }
    }
}

var sparseRowProducts: Kernel<SparseRowProducts> {
    Kernel {
        let task = $0.load(as: SparseRowProducts.self)
        switch task.format {
        case StorageFormat.float32: multiplyRows(task) { readFloat32($0, $1) }
        case StorageFormat.bfloat16: multiplyRows(task) { readBFloat16($0, $1) }
        case StorageFormat.float16: multiplyRows(task) { readFloat16($0, $1) }
        default: multiplyRows(task) { Float(readFloat64($0, $1)) }
        }
    }
}

/// One vector: as many entries at once as a register holds, their values in one load and their x one by one.
@inline(__always)
private func multiplyRows(_ task: SparseRowProducts, _ read: (UnsafeRawPointer, Int) -> Float) {
    let lanes = FloatVector.scalarCount
    let x = task.x
    let positions = task.positions
    for row in 0..<task.rows {
        let end = task.offsets[row &+ 1]
        var entry = task.offsets[row]
        var (s0, s1) = (FloatVector.zero, FloatVector.zero)
        while entry &+ 2 &* lanes <= end {
            s0 = multiplyAdd(s0, run(task.values, entry, read), gather(x, positions + entry))
            s1 = multiplyAdd(s1, run(task.values, entry &+ lanes, read), gather(x, positions + (entry &+ lanes)))
            entry &+= 2 &* lanes
        }
        s0 += s1
        var sum = s0[0]
        for lane in 1..<lanes { sum += s0[lane] }
        while entry < end {
            sum += read(task.values, entry) * x[Int(positions[entry])]
            entry &+= 1
        }
        task.y[row &* task.yStride] += sum
    }
}

/// A register of neighbouring values, widened.
@inline(__always)
private func run(_ values: UnsafeRawPointer, _ start: Int, _ read: (UnsafeRawPointer, Int) -> Float) -> FloatVector {
    var vector = FloatVector.zero
    for lane in 0..<FloatVector.scalarCount { vector[lane] = read(values, start &+ lane) }
    return vector
}

/// The elements of x at a register of positions.
@inline(__always)
private func gather(_ x: UnsafePointer<Float>, _ positions: UnsafePointer<UInt16>) -> FloatVector {
    var vector = FloatVector.zero
    for lane in 0..<FloatVector.scalarCount { vector[lane] = x[Int(positions[lane])] }
    return vector
}

/// Eight vectors a row: eight independent sums.
@inline(__always)
private func multiplyWide(_ task: SparseRows) {
    let lanes = FloatVector.scalarCount
    let width = 8 &* lanes
    var values = task.values
    var positions = task.positions
    var y = task.y
    for row in 0..<task.rows {
        var (y0, y1) = (load(y), load(y + lanes))
        var (y2, y3) = (load(y + 2 &* lanes), load(y + 3 &* lanes))
        var (y4, y5) = (load(y + 4 &* lanes), load(y + 5 &* lanes))
        var (y6, y7) = (load(y + 6 &* lanes), load(y + 7 &* lanes))
        let count = Int(task.counts[row])
        for entry in 0..<count {
            let x = task.x + Int(positions[entry]) &* width
            let value = FloatVector(repeating: values[entry])
            y0 = multiplyAdd(y0, value, load(x))
            y1 = multiplyAdd(y1, value, load(x + lanes))
            y2 = multiplyAdd(y2, value, load(x + 2 &* lanes))
            y3 = multiplyAdd(y3, value, load(x + 3 &* lanes))
            y4 = multiplyAdd(y4, value, load(x + 4 &* lanes))
            y5 = multiplyAdd(y5, value, load(x + 5 &* lanes))
            y6 = multiplyAdd(y6, value, load(x + 6 &* lanes))
            y7 = multiplyAdd(y7, value, load(x + 7 &* lanes))
        }
        store(y0, y)
        store(y1, y + lanes)
        store(y2, y + 2 &* lanes)
        store(y3, y + 3 &* lanes)
        store(y4, y + 4 &* lanes)
        store(y5, y + 5 &* lanes)
        store(y6, y + 6 &* lanes)
        store(y7, y + 7 &* lanes)
        values += count
        positions += count
        y += width
    }
}

/// One vector a row: four sums over every fourth entry.
@inline(__always)
private func multiplyNarrow(_ task: SparseRows) {
    let lanes = FloatVector.scalarCount
    let x = task.x
    var values = task.values
    var positions = task.positions
    var y = task.y
    for row in 0..<task.rows {
        let count = Int(task.counts[row])
        var (y0, y1, y2, y3) = (load(y), FloatVector.zero, FloatVector.zero, FloatVector.zero)
        var entry = 0
        while entry &+ 4 <= count {
            y0 = add(y0, values[entry], x + Int(positions[entry]) &* lanes)
            y1 = add(y1, values[entry &+ 1], x + Int(positions[entry &+ 1]) &* lanes)
            y2 = add(y2, values[entry &+ 2], x + Int(positions[entry &+ 2]) &* lanes)
            y3 = add(y3, values[entry &+ 3], x + Int(positions[entry &+ 3]) &* lanes)
            entry &+= 4
        }
        while entry < count {
            y0 = add(y0, values[entry], x + Int(positions[entry]) &* lanes)
            entry &+= 1
        }
        store((y0 + y1) + (y2 + y3), y)
        values += count
        positions += count
        y += lanes
    }
}

/// sum + value · x
@inline(__always)
private func add(_ sum: FloatVector, _ value: Float, _ x: UnsafePointer<Float>) -> FloatVector {
    multiplyAdd(sum, FloatVector(repeating: value), load(x))
}

@inline(__always)
private func load(_ pointer: UnsafePointer<Float>) -> FloatVector {
    UnsafeRawPointer(pointer).loadUnaligned(as: FloatVector.self)
}

@inline(__always)
private func store(_ vector: FloatVector, _ pointer: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: vector, as: FloatVector.self)
}

/// sum + x · y; fused only where the hardware does it, because the fallback is a library call for each element.
@inline(__always)
private func multiplyAdd(_ sum: FloatVector, _ x: FloatVector, _ y: FloatVector) -> FloatVector {
    #if FMA || arch(arm64)
    sum.addingProduct(x, y)
    #else
    sum + x * y
    #endif
}
