import Kernels
import MatrixCore

/// A truncated singular value decomposition A ≈ U · diag(σ₁ … σ_k) · Vᵀ with the evidence of how it was made.
public struct SVDResult: Sendable {
    /// Left singular vectors (m × k), orthonormal columns, also where σ is zero; for the purpose of a truncation the
    /// vectors of the long side may be no more than of length 1.
    public let u: Matrix
    /// All min(m, n) singular values, descending; a randomized route knows only k + oversampling of them
    /// (`evidence.spectrumIsComplete`). Behind the rank, the mixed route knows squares only within about 1e-5·σ₁².
    public let singularValues: [Double]
    /// Right singular vectors (n × k), orthonormal columns.
    public let v: Matrix
    public let evidence: SVDEvidence

    public var rank: Int { u.columns }

    /// σ_1 … σ_k, those that have vectors.
    public var kept: ArraySlice<Double> { singularValues.prefix(rank) }

    /// The decomposition of P A Qᵀ, for P (p × m) and Q (q × n) with orthonormal columns: the same singular values and
    /// zeros, P U and Q V.
    public func expanded(left: Matrix64, right: Matrix64) -> SVDResult {
        func product(_ basis: Matrix64, _ vectors: Matrix) -> Matrix {
            var product = Matrix64(uninitializedRows: basis.rows, columns: vectors.columns)
            multiply(MatrixOperand(basis), MatrixOperand(vectors), into: product.mutableView())
            return Matrix(rounding: product, columns: vectors.columns)
        }
        let zeros = max(0, min(left.rows, right.rows) - singularValues.count)
        return SVDResult(
            u: product(left, u), singularValues: singularValues + Array(repeating: 0, count: zeros),
            v: product(right, v), evidence: evidence)
    }
}

/// How a decomposition was computed and how good it is.
public struct SVDEvidence: Sendable {
    /// The route taken.
    public enum Solver: String, Sendable {
        /// Gram matrix and eigenvectors in Double.
        case gram
        /// The same in Float, checked against the matrix itself.
        case mixed
        case direct, randomized
    }

    public internal(set) var solver: Solver
    /// min(m, n): the order of the eigenvalue problem.
    public internal(set) var shortSide: Int
    public internal(set) var spectrumIsComplete: Bool
    /// ‖A‖_F.
    public internal(set) var norm: Double
    /// √Σ_{i>k} σ_i² for an exact route: the least Frobenius error of rank k. A randomized route reports its own error,
    /// from ‖A‖² − Σσ².
    public internal(set) var truncationError: Double
    /// How much larger than the optimum the Frobenius error may be, relative: from the rounding errors for an exact
    /// route (infinite where the optimum is zero), from the growth over the iterations for a randomized one.
    public internal(set) var excessEstimate: Double
    /// Seconds of each stage, in order.
    public internal(set) var stages: [Stage] = []

    public struct Stage: Sendable {
        public let name: String
        public let seconds: Double
    }

    /// Notes the stages of an eigen-decomposition as if they were its own.
    mutating func append(_ eigen: SymmetricEigenEvidence) {
        stages += eigen.stages.map { Stage(name: $0.name, seconds: $0.seconds) }
    }

    /// Runs a stage and notes its time.
    mutating func timed<Value, Failure>(
        _ name: String, _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let clock = ContinuousClock()
        let start = clock.now
        defer {
            let duration = start.duration(to: clock.now).components
            stages.append(Stage(name: name, seconds: Double(duration.seconds) + Double(duration.attoseconds) * 1e-18))
        }
        return try body()
    }
}
