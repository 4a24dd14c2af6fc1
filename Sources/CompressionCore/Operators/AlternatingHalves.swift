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
        left = Matrix64(converting: factors.left)
        right = Matrix64(converting: factors.right)
        self.target = target
        self.metric = metric
        weighted = Matrix64(product: MatrixOperand(target), MatrixOperand(metric.moment))
    }

    /// M G Rᵀ (R G Rᵀ)⁻¹, whatever L is.
    public func solvedLeft() throws(LinearAlgebraError) -> Matrix64 {
        let transposed = MatrixOperand(right).transposed
        let inMetric = Matrix64(product: MatrixOperand(right), MatrixOperand(metric.moment))
        let gram = Matrix64(product: MatrixOperand(inMetric), transposed)
        var solution = Matrix64(Matrix64(product: MatrixOperand(weighted), transposed).view.transposed)  // (r × m)
        try Cholesky(gram).solve(into: solution.mutableView())
        return Matrix64(solution.view.transposed)
    }

    /// (Lᵀ L)⁻¹ Lᵀ M, whatever R and the metric are.
    public func solvedRight() throws(LinearAlgebraError) -> Matrix64 {
        let transposed = MatrixOperand(left).transposed
        let gram = Matrix64(product: transposed, MatrixOperand(left))
        var solution = Matrix64(product: transposed, MatrixOperand(target))  // (r × n)
        try Cholesky(gram).solve(into: solution.mutableView())
        return solution
    }
}
