import CompressionCore
import Kernels
import MatrixCore

extension MixTOperator: TrainableOperator {
    /// The transpose of the map from branches to W'.
    public func tensorGradients(ofWeight gradient: MatrixView<Float>) -> [Matrix] {
        MixTMap(form: form, order: order).contract(MatrixOperand(gradient)).map { sums in
            var branch = Matrix(uninitializedRows: sums.rows, columns: sums.columns)
            convert(MatrixOperand(sums), into: MutableMatrixOperand(branch.mutableView()))
            return branch
        }
    }
}
