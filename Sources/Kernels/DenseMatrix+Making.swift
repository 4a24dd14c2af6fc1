import MatrixCore

/// New matrices from operands.
extension DenseMatrix {
    /// The numbers of an operand in another type, rounded to nearest even (`convert`).
    public init(converting source: MatrixOperand) {
        self.init(uninitializedRows: source.rows, columns: source.columns)
        convert(source, into: MutableMatrixOperand(mutableView()))
    }
}

extension Matrix {
    /// a · b in Float.
    public init(product a: MatrixOperand, _ b: MatrixOperand) {
        self.init(uninitializedRows: a.rows, columns: b.columns)
        multiply(a, b, into: mutableView())
    }
}

extension Matrix64 {
    /// a · b in Double.
    public init(product a: MatrixOperand, _ b: MatrixOperand) {
        self.init(uninitializedRows: a.rows, columns: b.columns)
        multiply(a, b, into: mutableView())
    }
}
