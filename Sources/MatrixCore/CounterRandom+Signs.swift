extension CounterRandom {
    /// A matrix of independent signs, 1 or −1 with equal probability, of at most 64 columns.
    public func signMatrix<Element: MatrixElement>(rows: Int, columns: Int) -> DenseMatrix<Element> {
        precondition(columns <= UInt64.bitWidth, "a row takes the bits of one number")
        var result = DenseMatrix<Element>(uninitializedRows: rows, columns: columns)
        let target = result.mutableView()
        for row in 0..<rows {
            let bits = bits(row)
            for column in 0..<columns { target[row, column] = bits >> UInt64(column) & 1 == 0 ? 1 : -1 }
        }
        return result
    }
}
