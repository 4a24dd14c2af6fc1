import Kernels
import MatrixCore

/// ‖W − W'‖_F / ‖W‖_F of a weight and the operator that replaces it; 0 for a zero weight that stays zero.
public func relativeError(of weight: MatrixOperand, replacedBy compressed: any LinearOperator) -> Double {
    relativeError(of: weight, replacedBy: compressed.reconstruct())
}

/// The same for the matrix W' of an operator.
public func relativeError(of weight: MatrixOperand, replacedBy found: Matrix) -> Double {
    let norm = sumOfSquares(weight)
    let error = sumOfSquaredDifferences(weight, MatrixOperand(found))
    if norm == 0 { return error == 0 ? 0 : .infinity }
    return (error / norm).squareRoot()
}

extension Objective {
    /// The error of an operator in this objective, relative to the target: ‖L_oᵀ(T − W')L_i‖ / ‖L_oᵀ T L_i‖.
    public func relativeError(of compressed: any LinearOperator) -> Double {
        relativeError(of: compressed.reconstruct())
    }

    /// The same for the matrix W' of an operator.
    public func relativeError(of found: Matrix) -> Double {
        if isPlain { return CompressionCore.relativeError(of: target, replacedBy: found) }
        let error = Matrix64(rows: found.rows, columns: found.columns) { target[$0, $1] - Double(found[$0, $1]) }
        let norm = squaredNorm(of: target), lost = squaredNorm(of: MatrixOperand(error))
        if norm == 0 { return lost == 0 ? 0 : .infinity }
        return (lost / norm).squareRoot()
    }
}
