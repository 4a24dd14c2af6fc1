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
///   chasing) or for small n in one; divide & conquer on the tridiagonal matrix; back-transformation of only the
///   vectors asked for, by blocks of reflectors. A is first scaled by a power of two to a largest element in 1 ..< 2.
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
    /// Sweeps of the chase that follow each other through the cache, one step apart.
    public var sweepsPerGroup = 4
    /// Sweeps of the chase whose reflectors are applied to the vectors as one block, a multiple of eight.
    public var sweepsPerBlock = 32
    /// How large the blocks of reflectors may be that are made together; there is room for twice as many.
    public var reflectorBytesPerRound = 4 << 20

    public init() {}

    /// The eigenvalues, descending, and the vectors of the `count` largest.
    ///
    /// Only the lower triangle of A (n × n) is read.
    /// - Throws: `shapeMismatch` if A is not square or has fewer than `count` rows, `nonFinite`, `notConverged`.
    public func decompose(_ a: Matrix64, vectors count: Int) throws(LinearAlgebraError) -> SymmetricEigenResult {
        guard count >= 0, count <= a.rows else {
            throw .shapeMismatch(rows: a.rows, columns: a.columns, expected: "large enough for \(count) eigenvectors")
        }
        do {
            return try decompose(a) { _ in count }
        } catch let error as LinearAlgebraError {
            throw error
        } catch {
            preconditionFailure("only the caller's closure throws other errors: \(error)")
        }
    }

    /// The eigenvalues, descending, and as many vectors as `choosing` says when it sees them.
    ///
    /// Only the lower triangle of A (n × n) is read. The closure's answer is clamped to 0 … n; its errors pass through.
    public func decompose(_ a: Matrix64, choosing: ([Double]) throws -> Int) throws -> SymmetricEigenResult {
        try decompose(a, solver: TridiagonalEigen(), choosing: choosing)
    }
}
