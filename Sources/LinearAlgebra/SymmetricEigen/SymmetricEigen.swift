import Kernels
import MatrixCore

/// Eigenvalues and leading eigenvectors of a symmetric matrix in Float64: A = V Λ Vᵀ.
///
/// ```swift
/// let result = try SymmetricEigen().decompose(gram, vectors: 64)
/// let chosen = try SymmetricEigen().decompose(gram) { values in values.prefix { $0 > 1e-6 * values[0] }.count }
/// ```
///
/// - Method: reduction to tridiagonal form, in two stages (full → band by matrix products, band → tridiagonal by bulge
///   chasing) or for small n in one; divide & conquer on the tridiagonal matrix; back-transformation of only the vectors
///   asked for, by blocks of reflectors. A is first scaled by a power of two to a largest element in 1 ..< 2.
/// - Accuracy: backward stable, ‖A V − V Λ‖ and ‖VᵀV − I‖ within a small multiple of ε n (times ‖A‖).
/// - Cost: 4/3 n³ flops for the reduction, 7 n² b for the chase, 2 n² k (1 + g/b) + 2 n² k for k vectors.
/// - Source: Bischof, Lang and Sun 2000; Haidar, Ltaief and Dongarra 2011 (see the stages).
public struct SymmetricEigen: Sendable {
    /// How A becomes tridiagonal.
    public enum Reduction: Sendable { case automatic, oneStage, twoStage }

    public var reduction = Reduction.automatic
    /// Orders up to this are reduced in one stage where the choice is automatic.
    public var oneStageLimit = 256
    /// Half-width b of the intermediate band, a multiple of eight.
    public var bandwidth = 64
    /// Rows of a block of the grid on which the symmetric matrix is kept.
    public var gridRows = 512
    /// Sweeps of the chase whose reflectors are applied to the vectors as one block.
    public var sweepsPerBlock = 64

    public init() {}
}
