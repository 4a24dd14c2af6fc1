import CompressionCore
import Kernels
import MatrixCore

extension FactorOperator: TrainableOperator {
    /// With W' = A B: ∂L/∂B = Aᵀ D and ∂L/∂A = D Bᵀ.
    public func tensorGradients(ofWeight gradient: MatrixView<Float>) -> [Matrix] {
        let factors = factors
        return [
            Matrix(product: factors.left.transposed, MatrixOperand(gradient)),
            Matrix(product: MatrixOperand(gradient), factors.right.transposed),
        ]
    }
}

extension PivotOperator: TrainableOperator {
    /// With W'_pivot = P and W'_rest = C P: ∂L/∂P = D_pivot + Cᵀ D_rest and ∂L/∂C = D_rest Pᵀ.
    public func tensorGradients(ofWeight gradient: MatrixView<Float>) -> [Matrix] {
        let order = rows
        var sorted = Matrix(uninitializedRows: gradient.rows, columns: gradient.columns)  // D, pivots first
        let target = sorted.mutableView()
        for (position, row) in order.enumerated() {
            for column in 0..<gradient.columns { target[position, column] = gradient[Int(row), column] }
        }
        let others = MatrixOperand(target.readable.rows(rank..<order.count))
        var pivots = Matrix(target.readable.rows(0..<rank))
        guard let coefficients = rest.operand(), let pivotRows = pivot.operand() else { return [pivots] }
        if others.rows > 0 {
            multiply(coefficients.transposed, others, into: pivots.mutableView(), beta: 1)
        }
        return [pivots, Matrix(product: others, pivotRows.transposed)]
    }
}
