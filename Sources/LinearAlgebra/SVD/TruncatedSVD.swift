import MatrixCore

/// The best approximation of a matrix by one of rank k, and its whole spectrum.
///
/// For A (m × n) in any storage format: U (m × k), σ₁ ≥ … ≥ σ_k and V (n × k) with orthonormal columns that minimise
/// ‖A − U·diag(σ)·Vᵀ‖_F.
///
/// ```swift
/// let svd = TruncatedSVD()
/// let result = try svd.decompose(weight, rank: 64)
/// let chosen = try svd.decompose(weight) { spectrum in rankKeeping(0.99, of: spectrum) }
/// ```
///
/// - Method: by default the Gram matrix of the short side, its eigenvectors, and one product with A for the other
///   factor (`Route.gram`). For a given rank all but the eigenvalues is computed in Float first, and kept if
///   its residual and its vectors, measured with A itself, pass (`SVDProblem+Mixed`); otherwise in Float64. Forming the
///   Gram matrix squares the condition, which costs digits of *small* singular values only; the error of the truncation
///   is of second order in them. Where that is not enough, the route `direct` repeats the step on what the leading
///   vectors leave over, so that no column is judged beside a much larger one.
/// - Accuracy: Frobenius error within 1e-6 (relative) of the optimum wherever factors in Float can hold it, that is for
///   optima above about 3e-5·‖A‖; vectors orthonormal within 1e-5, as far as the purpose asks for it; singular values
///   within about 1e-7·σ₁ (direct: 1e-13·σ₁), those without vectors as `SVDResult.singularValues` says.
/// - Cost: m·n² multiply-adds for the Gram matrix (n the short side), 4/3·n³ + 2·n²·k for its eigenvectors, m·n·k for
///   the product.
public struct TruncatedSVD: Sendable {
    /// How the decomposition is computed.
    public enum Route: Sendable, Equatable {
        /// The Gram route, in Float where that can be shown to do, or the direct one where the bound of the Gram route
        /// is not met: where its rounding, 8·ε·σ₁², exceeds 2e-6 of the optimal squared error, and that error is above
        /// the rounding of Float factors.
        case automatic
        /// Gram matrix of the short side and its eigenvectors.
        case gram
        /// Accurate at any condition, several times the time.
        case direct
        /// Subspace iteration: not exact; the result says how far from the optimum it is believed to be.
        case randomized(oversampling: Int = 16, powerIterations: Int = 2, seed: UInt64 = 0)
    }

    /// What the result is for.
    public enum Purpose: Sendable {
        /// U, σ and V as such.
        case singularVectors
        /// U·diag(σ)·Vᵀ and what is cut from it, A·V·Vᵀ for a tall A and U·Uᵀ·A for a wide one: the vectors of the
        /// short side are orthonormal, those of the long side have length 1 and are orthogonal as far as A makes them.
        case truncation
    }

    public var route: Route = .automatic
    public var purpose = Purpose.singularVectors
    /// The automatic route tries Float from this short side on.
    public var smallestMixedSide = TruncatedSVD.usualMixedSide

    /// Below it a decomposition takes some milliseconds in Double, and Float has little to gain.
    public static let usualMixedSide = 512

    public init(route: Route = .automatic, purpose: Purpose = .singularVectors) {
        self.route = route
        self.purpose = purpose
    }

    /// The top-k triplets of a.
    /// - Parameter rank: k, in 0 … min(m, n).
    public func decompose(_ a: MatrixOperand, rank: Int) throws(LinearAlgebraError) -> SVDResult {
        let shortSide = min(a.rows, a.columns)
        guard (0...shortSide).contains(rank) else {
            throw .shapeMismatch(rows: a.rows, columns: a.columns, expected: "large enough for rank \(rank)")
        }
        do {
            if case .randomized(let oversampling, let iterations, let seed) = route {
                let sketch = RandomizedSVD(oversampling: oversampling, powerIterations: iterations, seed: seed)
                return try sketch.decompose(a, rank: rank)
            }
            let svd = try NestedSVD(a, by: self, isCutOnce: true, ranks: [rank])
            return try svd.truncated(to: rank)
        } catch let error as LinearAlgebraError {
            throw error
        } catch {
            preconditionFailure("only the caller's closure throws other errors: \(error)")
        }
    }

    /// The triplets of a, as many as `choosingRank` says, in Double throughout: a spectrum to choose by has no error to
    /// speak of. The randomized route has no spectrum to choose from; it is
    /// answered by the automatic one.
    /// - Parameter choosingRank: gets all min(m, n) singular values, descending; its errors pass through. The answer is
    ///   clamped to 0 … min(m, n).
    /// - Throws: `LinearAlgebraError`, or what the closure throws.
    public func decompose(_ a: MatrixOperand, choosingRank: ([Double]) throws -> Int) throws -> SVDResult {
        let svd = try NestedSVD(a, by: self, isCutOnce: true) { [try choosingRank($0)] }
        return try svd.truncated(to: svd.ranks[0])
    }

    /// Bytes of working memory of the Gram route for a (rows × columns) at the given rank, besides A and the result.
    public func scratchBytes(rows: Int, columns: Int, rank: Int) -> Int {
        let (short, long) = (min(rows, columns), max(rows, columns))
        let double = MemoryLayout<Double>.stride
        let gram = short * short * double, vectors = short * rank * double
        let eigen = SymmetricEigen().scratchBytes(order: short, vectors: rank)
            + TridiagonalEigen.scratchBytes(order: short, vectors: rank)
        return max(gram + eigen, long * rank * double) + vectors
    }

    /// All min(m, n) singular values, descending.
    public func spectrum(_ a: MatrixOperand) throws(LinearAlgebraError) -> [Double] {
        var exact = self
        if case .randomized = route { exact.route = .automatic }
        return try exact.decompose(a, rank: 0).singularValues
    }
}
