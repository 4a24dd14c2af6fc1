import Checkpoints
import CompressionCore
import MatrixCore

/// Says for every module what its compression should make small, and how well it did.
protocol ObjectiveProvider {
    /// The objective of a module with this weight (m × n).
    /// - Parameter factors: what the weight is a product of, where it is stored so.
    func objective(for module: LinearModule, weight: MatrixOperand, factors: Factors?) throws -> Objective

    /// Errors over inputs of the module, as far as they are known.
    func inputErrors(
        of compressed: any LinearOperator, for module: LinearModule, weight: MatrixOperand
    ) throws -> InputErrors
}

/// Errors of a layer's outputs over the inputs of a calibration.
struct InputErrors {
    /// ‖(W − W')X‖ / ‖WX‖.
    var activation: Double?
    /// ‖WX − W'X̂‖ / ‖WX‖ with X̂ what the compressed network gives to the layer.
    var sequential: Double?
}
