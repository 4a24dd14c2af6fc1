import MatrixCore

/// What finds the eigenvalues of a tridiagonal matrix, ascending, and the vectors of a range of them.
protocol TridiagonalSolver {
    /// - Parameters:
    ///   - diagonal: n numbers.
    ///   - offDiagonal: n − 1 numbers.
    ///   - choosing: picks the range of the vectors when it sees the values.
    /// - Returns: n values, and vectors (n × range).
    func decompose(
        diagonal: [Double], offDiagonal: [Double], choosing: ([Double]) throws -> Range<Int>
    ) throws -> (values: [Double], vectors: Matrix64)
}

/// The implicit QL iteration for the whole matrix: 3 n³ flops for vectors.
struct ImplicitQLSolver: TridiagonalSolver {
    func decompose(
        diagonal: [Double], offDiagonal: [Double], choosing: ([Double]) throws -> Range<Int>
    ) throws -> (values: [Double], vectors: Matrix64) {
        let n = diagonal.count
        var values = diagonal
        var off = offDiagonal + [0]
        var rows = Matrix64.identity(n)
        let z = rows.mutableView()
        try values.withUnsafeMutableBufferPointer { d in
            try off.withUnsafeMutableBufferPointer { e in
                guard let d = d.baseAddress, let e = e.baseAddress else { return }
                try ImplicitQL.decompose(n, diagonal: d, offDiagonal: e, vectors: z.base, shape: (n, n))
            }
        }
        return (values, Matrix64(z.readable.rows(try choosing(values)).transposed))
    }
}
