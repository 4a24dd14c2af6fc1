import MatrixCore

/// An operator whose matrix is a product of two thin ones, W' = L R, so that it can be truncated further without being
/// made dense.
public protocol FactoredOperator: LinearOperator {
    /// L (m × r) and R (r × n).
    var factors: Factors { get }
}

/// A matrix (m × n) as a product.
public struct Factors: Sendable {
    /// L (m × r).
    public let left: MatrixOperand
    /// R (r × n).
    public let right: MatrixOperand

    public init(left: MatrixOperand, right: MatrixOperand) {
        precondition(left.columns == right.rows, "factors of different rank")
        self.left = left
        self.right = right
    }

    public var rank: Int { left.columns }
}
