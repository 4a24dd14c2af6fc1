import Kernels
import LinearAlgebra
import MatrixCore

/// The second moment G = X Xᵀ (n × n) of a layer's inputs, with its factor computed once and shared by every layer that
/// reads the same inputs.
///
/// G may be singular: with fewer samples than features it always is. The factor is then that of G with something added
/// to its diagonal (`shift`), which reports state: what the caller asks for, and where that is not enough the smallest
/// shift that makes it definite.
public final class GramMetric: Sendable {
    public let moment: Matrix64
    /// L (n × n), lower triangular: G + shift · I = L Lᵀ.
    public let root: Matrix64
    /// What was added to the diagonal.
    public let shift: Double

    public var size: Int { moment.rows }

    /// - Parameter ridge: added to the diagonal in any case.
    /// - Throws: `LinearAlgebraError` if G is not square, not finite or not positive semidefinite.
    public init(moment: Matrix64, ridge: Double = 0) throws(LinearAlgebraError) {
        var shifted = moment
        if ridge > 0 {
            let view = shifted.mutableView()
            for i in 0..<min(view.rows, view.columns) { view[i, i] += ridge }
        }
        let factor = try Cholesky(shifted)
        self.moment = moment
        root = factor.l
        shift = ridge + factor.shift
    }

    /// e · L for rows e (k × n).
    func weighted(_ rows: MatrixOperand) -> Matrix64 {
        var result = Matrix64(uninitializedRows: rows.rows, columns: size)
        let target = result.mutableView()
        // Above its diagonal L is zero, so a block of its columns needs only the rows from its first one on.
        let width = 512
        for start in stride(from: 0, to: size, by: width) {
            let columns = start..<min(start + width, size)
            multiply(
                rows.columns(start..<size), MatrixOperand(root.view.block(rows: start..<size, columns: columns)),
                into: target.columns(columns))
        }
        return result
    }

    /// Σ e G eᵀ over rows e (k × n), without what was added to the diagonal.
    public func squaredNorm(of rows: MatrixOperand) -> Double {
        let whole = sumOfSquares(MatrixOperand(weighted(rows)))
        return shift == 0 ? whole : max(0, whole - shift * sumOfSquares(rows))
    }
}
