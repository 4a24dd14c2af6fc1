import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

extension MixTOperator: AlternatingOperator {
    /// W' is linear in all branches together, so there is nothing to alternate: conjugate gradients on all of them
    /// (`MixTFit`), each sweep as many steps as a compression takes at most.
    public func alternated(towards target: Matrix64, _ metric: GramMetric, sweeps: Int) -> [Matrix] {
        let objective = Objective(target: MatrixOperand(target), inputs: .gram(metric))
        let start = branches.compactMap { $0.operand() }.map { branch in
            Matrix64(rows: branch.rows, columns: branch.columns) { branch[$0, $1] }
        }
        var fit = MixTFit(map: MixTMap(form: form, order: order), objective: objective)
        fit.mostSteps *= sweeps
        return fit.improve(start).branches.map { found in
            var branch = Matrix(uninitializedRows: found.rows, columns: found.columns)
            convert(MatrixOperand(found), into: MutableMatrixOperand(branch.mutableView()))
            return branch
        }
    }
}
