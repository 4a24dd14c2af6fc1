import CompressionCore
import Kernels
import MatrixCore

extension SharedBasisOperator: TrainableOperator {
    /// With W' = C B: ∂L/∂B = Cᵀ D, of a basis with pivots the columns that are stored, and ∂L/∂C = D Bᵀ.
    public func tensorGradients(ofWeight gradient: MatrixView<Float>) -> [Matrix] {
        var ownGradient = Matrix(uninitializedRows: outFeatures, columns: basis.rank)
        multiply(MatrixOperand(gradient), basis.rows.transposed, into: ownGradient.mutableView())
        var basisGradient = Matrix(uninitializedRows: basis.rank, columns: inFeatures)
        guard let left = coefficients.operand() else { return [basisGradient, ownGradient] }
        multiply(left.transposed, MatrixOperand(gradient), into: basisGradient.mutableView())
        guard let index = basis.index else { return [basisGradient, ownGradient] }
        let pivots = Set(index.array(of: Int32.self).map(Int.init))
        let others = (0..<inFeatures).filter { !pivots.contains($0) }
        let source = basisGradient
        return [Matrix(rows: others.count, columns: basis.rank) { source[$1, others[$0]] }, ownGradient]
    }
}
