import Kernels
import MatrixCore

/// ‖W − W'‖_F / ‖W‖_F of a weight and the operator that replaces it; 0 for a zero weight that stays zero.
public func relativeError(of weight: MatrixOperand, replacedBy compressed: any LinearOperator) -> Double {
    let norm = sumOfSquares(weight)
    let error = sumOfSquaredDifferences(weight, MatrixOperand(compressed.reconstruct()))
    if norm == 0 { return error == 0 ? 0 : .infinity }
    return (error / norm).squareRoot()
}
