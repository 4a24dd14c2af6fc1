import MatrixCore

@testable import Kernels

// The naive versions that the kernels are held against, and the operands that they are tried on.

/// alpha · a · b + beta · c, each element one sum in Double.
func naiveProduct(_ a: MatrixOperand, _ b: MatrixOperand, _ c: Matrix64, alpha: Double, beta: Double) -> Matrix64 {
    Matrix64(rows: a.rows, columns: b.columns) { i, j in
        var sum = 0.0
        for p in 0..<a.columns { sum += a[i, p] * b[p, j] }
        return alpha * sum + (beta == 0 ? 0 : beta * c[i, j])
    }
}

/// How the elements of a test operand lie in memory.
enum Layout: CaseIterable {
    case rowMajor, columnMajor, padded, gaps
}

/// A matrix of random numbers in the given format and layout.
func randomOperand(_ rows: Int, _ columns: Int, _ type: ElementType, _ layout: Layout, seed: Int) -> MatrixOperand {
    let (rowStride, columnStride) =
        switch layout {
        case .rowMajor: (columns, 1)
        case .columnMajor: (1, rows)
        case .padded: (columns + 3, 1)
        case .gaps: (3 * columns + 5, 3)
        }
    let count = max(1, max(rows, 1) * (3 * columns + 5) + 3 * rows)
    let buffer = AlignedBuffer<UInt8>(count: count * 8, repeating: 0xFF)
    let target = MutableMatrixOperand(
        base: UnsafeMutableRawPointer(buffer.base), type: type, rows: rows, columns: columns, rowStride: rowStride,
        columnStride: columnStride, owner: buffer)
    let random = CounterRandom(seed: UInt64(seed))
    for i in 0..<rows {
        for j in 0..<columns {
            store(2 * random.uniform(i * columns + j) - 1, i, j, target)
        }
    }
    return target.readable
}

/// target[i, j] ← value, rounded through Float.
func store(_ value: Double, _ i: Int, _ j: Int, _ target: MutableMatrixOperand) {
    let address = target.base + (i * target.rowStride + j * target.columnStride) * target.type.bytes
    switch target.type {
    case .float64: address.storeBytes(of: value, as: Double.self)
    case .float32: address.storeBytes(of: Float(value), as: Float.self)
    case .bfloat16: address.storeBytes(of: BFloat16(Float(value)).bitPattern, as: UInt16.self)
    case .float16: address.storeBytes(of: Half(Float(value)).bitPattern, as: UInt16.self)
    }
}

/// The same memory, writable: for operands that a test has made itself.
func writable(_ operand: MatrixOperand) -> MutableMatrixOperand {
    MutableMatrixOperand(
        base: UnsafeMutableRawPointer(mutating: operand.base), type: operand.type, rows: operand.rows,
        columns: operand.columns, rowStride: operand.rowStride, columnStride: operand.columnStride, owner: operand.owner)
}

func widened(_ operand: MatrixOperand) -> Matrix64 {
    Matrix64(rows: operand.rows, columns: operand.columns) { operand[$0, $1] }
}

/// Largest |a − b| over all elements; infinite where only one of a pair is NaN.
func largestDifference(_ a: Matrix64, _ b: Matrix64) -> Double {
    zip(a.elements, b.elements).reduce(0) { worst, pair in
        if pair.0.isNaN || pair.1.isNaN { return pair.0.isNaN && pair.1.isNaN ? worst : .infinity }
        return pair.0 == pair.1 ? worst : max(worst, abs(pair.0 - pair.1))
    }
}

/// What rounding may do to a sum of `depth` products of numbers below 1.
func tolerance(_ type: ElementType, depth: Int) -> Double {
    4 * type.epsilon * (1 + Double(depth))
}
