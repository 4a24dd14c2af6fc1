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
