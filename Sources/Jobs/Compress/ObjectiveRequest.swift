/// In what the errors of a compression are measured, as a user says it.
public struct ObjectiveRequest: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        /// ‖W − W'‖.
        case weights
        /// ‖(W − W') X‖ over the inputs X of a calibration.
        case activations
        /// ‖(W − W') diag(mean |x|)^½‖ (ASVD, arXiv 2312.05821, with its α of ½).
        case asvd
        /// ‖diag(Σ_j E[g_ij²])^½ (W − W')‖, g the gradients of the weight (FWSVD, arXiv 2207.00112).
        case fisher
    }

    /// nil for what follows from the files given.
    public var kind: Kind?
    /// A statistics file of `calibrate`.
    public var statistics: String?
    /// A safetensors file of mean squared gradients, under the names and in the shapes of the weights.
    public var fisher: String?

    public init(kind: Kind? = nil, statistics: String? = nil, fisher: String? = nil) {
        self.kind = kind
        self.statistics = statistics
        self.fisher = fisher
    }

    /// The objective in force.
    public var effectiveKind: Kind {
        kind ?? (statistics != nil ? .activations : fisher != nil ? .fisher : .weights)
    }

    /// - Throws: `JobError.usage` where a file is missing that the objective needs, or given for nothing.
    public func validate() throws(JobError) {
        let name = "--objective \(effectiveKind.rawValue)"
        switch effectiveKind {
        case .activations where statistics == nil, .asvd where statistics == nil:
            throw .usage("\(name) needs --stats, a file that calibrate wrote")
        case .fisher where fisher == nil:
            throw .usage("\(name) needs --fisher, a file of mean squared gradients")
        case .weights, .activations, .asvd:
            if fisher != nil { throw .usage("\(name) does not use --fisher; give --objective fisher or leave it out") }
        case .fisher:
            break
        }
    }
}
