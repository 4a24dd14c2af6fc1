import MatrixCore

/// c ← alpha · a · b + beta · c, in Float; a (m × k) and b (k × n) in any storage format but float64.
public func multiply(
    _ a: MatrixOperand, _ b: MatrixOperand, into c: MutableMatrixView<Float>, alpha: Float = 1, beta: Float = 0
) {
    precondition(a.columns == b.rows && a.rows == c.rows && b.columns == c.columns, "shapes do not fit")
    for i in 0..<c.rows {
        for j in 0..<c.columns {
            var sum = 0.0
            for p in 0..<a.columns { sum += a[i, p] * b[p, j] }
            c[i, j] = alpha * Float(sum) + (beta == 0 ? 0 : beta * c[i, j])
        }
    }
}

/// c ← alpha · a · b + beta · c, in Double; a (m × k) and b (k × n) in any storage format.
public func multiply(
    _ a: MatrixOperand, _ b: MatrixOperand, into c: MutableMatrixView<Double>, alpha: Double = 1, beta: Double = 0
) {
    precondition(a.columns == b.rows && a.rows == c.rows && b.columns == c.columns, "shapes do not fit")
    for i in 0..<c.rows {
        for j in 0..<c.columns {
            var sum = 0.0
            for p in 0..<a.columns { sum += a[i, p] * b[p, j] }
            c[i, j] = alpha * sum + (beta == 0 ? 0 : beta * c[i, j])
        }
    }
}

/// c ← alpha · a · aᵀ + beta · c (SYRK), a (m × k), both triangles of c (m × m) written.
public func multiplyByTranspose(_ a: MatrixOperand, into c: MutableMatrixView<Float>, alpha: Float = 1, beta: Float = 0) {
    multiply(a, a.transposed, into: c, alpha: alpha, beta: beta)
}

/// c ← alpha · a · aᵀ + beta · c (SYRK) in Double, a (m × k) in any storage format, both triangles of c (m × m) written.
public func multiplyByTranspose(_ a: MatrixOperand, into c: MutableMatrixView<Double>, alpha: Double = 1, beta: Double = 0) {
    multiply(a, a.transposed, into: c, alpha: alpha, beta: beta)
}
