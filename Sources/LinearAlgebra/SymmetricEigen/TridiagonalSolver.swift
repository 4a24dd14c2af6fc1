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

extension TridiagonalEigen: TridiagonalSolver {}
