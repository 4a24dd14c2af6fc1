import LinearAlgebra
import MatrixCore
import Synchronization

/// The second moment G = X Xᵀ (n × n) of a layer's inputs, with its factor computed once and shared by every layer that
/// reads the same inputs.
///
/// G may be singular: with fewer samples than features it always is. The Cholesky factor then carries the smallest
/// shift that makes it definite (`shift`), which reports state.
public final class GramMetric: Sendable {
    public let moment: Matrix64
    /// L (n × n), lower triangular: G + shift · I = L Lᵀ.
    public let root: Matrix64
    /// What was added to the diagonal.
    public let shift: Double

    public var size: Int { moment.rows }

    /// - Throws: `LinearAlgebraError` if G is not square, not finite or not positive semidefinite.
    public init(moment: Matrix64) throws(LinearAlgebraError) {
        let factor = try Cholesky(moment)
        self.moment = moment
        root = factor.l
        shift = factor.shift
    }
}
