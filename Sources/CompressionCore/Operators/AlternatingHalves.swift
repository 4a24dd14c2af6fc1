import Kernels
import LinearAlgebra
import MatrixCore

/// The two closed forms of ‖(M − L R) X‖ for a product of thin factors, in Double.
///
/// - Cost: products of m·n² once, and of m·n·r and r·n² operations for each.
public struct AlternatingHalves {
    /// L (m × r).
    public var left: Matrix64
    /// R (r × n).
    public var right: Matrix64
    private let target: Matrix64
    private let metric: GramMetric
    /// M G (m × n)
    private let weighted: Matrix64

    public init(_ factors: Factors, _ target: Matrix64, _ metric: GramMetric) {
        left = Self.wide(factors.left)
        right = Self.wide(factors.right)
        self.target = target
        self.metric = metric
        weighted = Self.product(MatrixOperand(target), MatrixOperand(metric.moment))
    }

    /// M G Rᵀ (R G Rᵀ)⁻¹, whatever L is.
    public func solvedLeft() throws(LinearAlgebraError) -> Matrix64 {
        let transposed = MatrixOperand(right).transposed
        let gram = Self.product(
            MatrixOperand(Self.product(MatrixOperand(right), MatrixOperand(metric.moment))), transposed)
        var solution = Matrix64(Self.product(MatrixOperand(weighted), transposed).view.transposed)  // (r × m)
        try Cholesky(gram).solve(into: solution.mutableView())
        return Matrix64(solution.view.transposed)
    }

    /// (Lᵀ L)⁻¹ Lᵀ M, whatever R and the metric are.
    public func solvedRight() throws(LinearAlgebraError) -> Matrix64 {
        let transposed = MatrixOperand(left).transposed
        let gram = Self.product(transposed, MatrixOperand(left))
        var solution = Self.product(transposed, MatrixOperand(target))  // (r × n)
        try Cholesky(gram).solve(into: solution.mutableView())
        return solution
    }

    private static func wide(_ operand: MatrixOperand) -> Matrix64 {
        var result = Matrix64(uninitializedRows: operand.rows, columns: operand.columns)
        convert(operand, into: MutableMatrixOperand(result.mutableView()))
        return result
    }

    private static func product(_ a: MatrixOperand, _ b: MatrixOperand) -> Matrix64 {
        var result = Matrix64(uninitializedRows: a.rows, columns: b.columns)
        multiply(a, b, into: result.mutableView())
        return result
    }
}
