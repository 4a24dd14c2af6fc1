/// What can be wrong with the input of a factorisation, or with its course.
public enum LinearAlgebraError: Error, Equatable, Sendable {
    /// The operation wants another shape: `expected` says which, for example "square".
    case shapeMismatch(rows: Int, columns: Int, expected: String)
    /// The element at (row, column) is NaN or infinite.
    case nonFinite(row: Int, column: Int)
    /// An iteration did not reach its tolerance within its limit.
    case notConverged(solver: String, iterations: Int)
    /// A Cholesky pivot is not positive: the leading block of `order` rows is not positive definite.
    case notPositiveDefinite(order: Int, pivot: Double)
    /// The columns are numerically dependent and a unique solution was asked for.
    case rankDeficient(rank: Int, needed: Int)
}

extension LinearAlgebraError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .shapeMismatch(let rows, let columns, let expected):
            "a matrix of \(rows) × \(columns) is not \(expected)"
        case .nonFinite(let row, let column):
            "the element at row \(row), column \(column) is not a finite number"
        case .notConverged(let solver, let iterations):
            "\(solver) did not converge within \(iterations) iterations"
        case .notPositiveDefinite(let order, let pivot):
            "the matrix is not positive definite: pivot \(order) is \(pivot)"
        case .rankDeficient(let rank, let needed):
            "the matrix has numerical rank \(rank) where \(needed) is needed"
        }
    }
}
