import MatrixCore

/// c ← alpha · a · b + beta · c, in Float; a (m × k) and b (k × n) in any storage format but float64.
///
/// Where beta is 0, c is not read. Sums run in Float over blocks of the depth, in an order that the shapes alone decide.
public func multiply(
    _ a: MatrixOperand, _ b: MatrixOperand, into c: MutableMatrixView<Float>, alpha: Float = 1, beta: Float = 0
) {
    precondition(a.type != .float64 && b.type != .float64, "a product in Float would lose digits of its operands")
    Product(a: a, b: b, c: MutableMatrixOperand(c), alpha: Double(alpha), beta: Double(beta)).run()
}

/// c ← alpha · a · b + beta · c, in Double; a (m × k) and b (k × n) in any storage format.
public func multiply(
    _ a: MatrixOperand, _ b: MatrixOperand, into c: MutableMatrixView<Double>, alpha: Double = 1, beta: Double = 0
) {
    Product(a: a, b: b, c: MutableMatrixOperand(c), alpha: alpha, beta: beta).run()
}

/// The given triangle of c ← alpha · a · b + beta · c, diagonal included, in Double; the other half of c (n × n) is
/// neither read nor written. Half the cost of `multiply`: the update of a symmetric matrix by a product that is known
/// to be symmetric, and of rank 2k as [a₁ a₂] · [b₁; b₂].
public func multiplyTriangle(
    _ a: MatrixOperand, _ b: MatrixOperand, _ triangle: Triangle, into c: MutableMatrixView<Double>, alpha: Double = 1,
    beta: Double = 0
) {
    precondition(c.rows == c.columns, "a triangle needs a square matrix")
    let region: Product.Region = triangle == .lower ? .lower : .upper
    Product(a: a, b: b, c: MutableMatrixOperand(c), alpha: alpha, beta: beta, region: region).run()
}

/// The same in Float; a and b in any storage format but float64.
public func multiplyTriangle(
    _ a: MatrixOperand, _ b: MatrixOperand, _ triangle: Triangle, into c: MutableMatrixView<Float>, alpha: Float = 1,
    beta: Float = 0
) {
    precondition(c.rows == c.columns, "a triangle needs a square matrix")
    precondition(a.type != .float64 && b.type != .float64, "a product in Float would lose digits of its operands")
    let region: Product.Region = triangle == .lower ? .lower : .upper
    let target = MutableMatrixOperand(c)
    Product(a: a, b: b, c: target, alpha: Double(alpha), beta: Double(beta), region: region).run()
}

/// c ← alpha · a · aᵀ + beta · c (SYRK), a (m × k), both triangles of c (m × m) written; with beta, c is symmetric before.
public func multiplyByTranspose(_ a: MatrixOperand, into c: MutableMatrixView<Float>, alpha: Float = 1, beta: Float = 0) {
    precondition(a.type != .float64, "a product in Float would lose digits of its operands")
    let target = MutableMatrixOperand(c)
    Product(a: a, b: a.transposed, c: target, alpha: Double(alpha), beta: Double(beta), region: .lower).run()
    mirrorLower(c)
}

/// c ← alpha · a · aᵀ + beta · c (SYRK) in Double, a (m × k) in any storage format, both triangles of c (m × m) written;
/// with beta, c is symmetric before.
public func multiplyByTranspose(_ a: MatrixOperand, into c: MutableMatrixView<Double>, alpha: Double = 1, beta: Double = 0) {
    let target = MutableMatrixOperand(c)
    Product(a: a, b: a.transposed, c: target, alpha: alpha, beta: beta, region: .lower).run()
    mirrorLower(c)
}
