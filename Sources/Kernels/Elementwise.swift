import MatrixCore

/// Converts between storage formats, rounding to nearest even; shapes are equal.
public func convert(_ source: MatrixOperand, into target: MutableMatrixOperand) {
    precondition(source.rows == target.rows && source.columns == target.columns, "shapes do not fit")
    for i in 0..<source.rows {
        for j in 0..<source.columns {
            let value = source[i, j]
            let index = i * target.rowStride + j * target.columnStride
            switch target.type {
            case .float64: target.base.storeBytes(of: value, toByteOffset: index * 8, as: Double.self)
            case .float32: target.base.storeBytes(of: Float(value), toByteOffset: index * 4, as: Float.self)
            case .bfloat16: target.base.storeBytes(of: BFloat16(Float(value)).bitPattern, toByteOffset: index * 2, as: UInt16.self)
            case .float16: target.base.storeBytes(of: Half(Float(value)).bitPattern, toByteOffset: index * 2, as: UInt16.self)
            }
        }
    }
}

/// Σ a², accumulated in Double in a fixed order.
public func sumOfSquares(_ a: MatrixOperand) -> Double {
    var sum = 0.0
    for i in 0..<a.rows {
        for j in 0..<a.columns { sum += a[i, j] * a[i, j] }
    }
    return sum
}

/// Σ (a − b)², accumulated in Double in a fixed order.
public func sumOfSquaredDifferences(_ a: MatrixOperand, _ b: MatrixOperand) -> Double {
    var sum = 0.0
    for i in 0..<a.rows {
        for j in 0..<a.columns {
            let difference = a[i, j] - b[i, j]
            sum += difference * difference
        }
    }
    return sum
}

/// The first element, row by row, that is NaN or infinite.
public func firstNonFinite(_ a: MatrixOperand) -> (row: Int, column: Int)? {
    for i in 0..<a.rows {
        for j in 0..<a.columns where !a[i, j].isFinite { return (i, j) }
    }
    return nil
}
