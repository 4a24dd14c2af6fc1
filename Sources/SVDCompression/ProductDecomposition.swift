import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// The SVD of a product L R of thin factors, from an SVD of the order of their rank.
///
/// For L (m × r) and R (r × n):
///
///     L = Q_l T_l,   Rᵀ = Q_r T_r,   T_l T_rᵀ = U S Vᵀ   ⟹   L R = (Q_l U) S (Q_r V)ᵀ
///
/// All of it in Float64, because factors may be scaled so that their product cancels.
///
/// - Cost: (m + n)·r² operations for each of the QR and the products, and the SVD of an r × r matrix; the product itself
///   (m × n) is never formed.
struct ProductDecomposition {
    /// T_l T_rᵀ (r × r).
    let core: Matrix64
    /// Q_l (m × r).
    private let left: Matrix64
    /// Q_r (n × r).
    private let right: Matrix64

    /// - Parameter factors: of a rank that neither side is below.
    init(_ factors: Factors) throws(LinearAlgebraError) {
        let left = try ThinQR(Self.widened(factors.left).view)
        let right = try ThinQR(Self.widened(factors.right.transposed).view)
        var core = Matrix64(uninitializedRows: factors.rank, columns: factors.rank)
        multiply(MatrixOperand(left.r), MatrixOperand(right.r).transposed, into: core.mutableView())
        self.core = core
        self.left = left.q
        self.right = right.q
    }

    /// The decomposition of the product, from that of its core.
    func expand(_ svd: SVDResult) -> SVDResult {
        svd.expanded(left: left, right: right)
    }

    private static func widened(_ matrix: MatrixOperand) -> Matrix64 {
        var result = Matrix64(uninitializedRows: matrix.rows, columns: matrix.columns)
        convert(matrix, into: MutableMatrixOperand(result.mutableView()))
        return result
    }
}
