import MatrixCore

/// Eigenvalues of a symmetric matrix and the eigenvectors of the largest ones.
public struct SymmetricEigenResult: Sendable {
    /// All n eigenvalues, descending.
    public let values: [Double]
    /// Orthonormal eigenvectors of the first eigenvalues as columns (n × count).
    public let vectors: Matrix64
    public let evidence: SymmetricEigenEvidence
}

/// How an eigen-decomposition was computed and where its time went.
public struct SymmetricEigenEvidence: Sendable {
    /// The reduction that was taken.
    public enum Solver: String, Sendable {
        /// Nothing to do: the matrix is zero or has fewer than two rows.
        case trivial
        /// Tridiagonal in one stage, one reflector at a time.
        case oneStage
        /// Full → band → tridiagonal.
        case twoStage
    }

    public struct Stage: Sendable {
        public let name: String
        public let seconds: Double
    }

    public internal(set) var solver: Solver = .trivial
    /// n.
    public internal(set) var order: Int
    /// Half-width of the intermediate band; 0 where there is none.
    public internal(set) var bandwidth = 0
    /// Seconds of each stage, in order.
    public internal(set) var stages: [Stage] = []

    /// Runs a stage and notes its time.
    mutating func timed<Value>(_ name: String, _ body: () throws -> Value) rethrows -> Value {
        let clock = ContinuousClock()
        let start = clock.now
        defer {
            let elapsed = start.duration(to: clock.now).components
            stages.append(Stage(name: name, seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18))
        }
        return try body()
    }
}
