import LinearAlgebra
import MatrixCore

/// An operator that can be fitted to another target without changing its form: by the solver that made it, from the
/// numbers that it has.
public protocol AlternatingOperator: TrainableOperator {
    /// Sweeps of alternating least squares for ‖(M − W') L‖ with L Lᵀ the metric: in every sweep each tensor is solved
    /// for while the others stay, exactly or by conjugate gradients, so the error never rises but for rounding.
    /// Positions stay as they are.
    ///
    /// - Parameters:
    ///   - target: M (m × n).
    ///   - metric: of the inputs (n × n).
    /// - Returns: numbers in the order of `numbers`, in Float.
    /// - Throws: `LinearAlgebraError` where the numbers leave nothing to solve.
    func alternated(towards target: Matrix64, _ metric: GramMetric, sweeps: Int) throws -> [Matrix]
}
