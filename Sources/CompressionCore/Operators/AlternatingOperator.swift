import LinearAlgebra
import MatrixCore

/// An operator each of whose tensors has a closed form while the others stay.
public protocol AlternatingOperator: TrainableOperator {
    /// Sweeps of alternating least squares for ‖(M − W') L‖ with L Lᵀ the metric: in every sweep each tensor is solved
    /// for exactly, so the error never rises.
    ///
    /// - Parameters:
    ///   - target: M (m × n).
    ///   - metric: of the inputs (n × n).
    /// - Returns: numbers in the order of `numbers`.
    func alternated(
        towards target: Matrix64, _ metric: GramMetric, sweeps: Int
    ) throws(LinearAlgebraError) -> [Matrix]
}
