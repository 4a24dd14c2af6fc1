/// In what the errors of a compression are measured, as a user says it.
public struct ObjectiveRequest: Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        /// ‖W − W'‖.
        case weights
        /// ‖(W − W') X‖ over the inputs X of a calibration.
        case activations
        /// ‖(W − W') diag(mean |x|)^½‖ (ASVD, arXiv 2312.05821, with its α of ½).
        case asvd
        /// ‖diag(Σ_j E[g_ij²])^½ (W − W')‖, g the gradients of the weight (FWSVD, arXiv 2207.00112).
        case fisher
        /// ‖L_gᵀ (W − W') X‖ over the inputs X of a calibration, with L_g L_gᵀ the second moment of the gradients
        /// towards the outputs: twice what the error costs in predictions, to second order (the factors of K-FAC, arXiv
        /// 1503.05671, as metrics of both sides).
        case kfac

        /// Whether matrices are fitted to activations, so that those of the compressed network can take their place.
        public var goesInSequence: Bool { self == .activations || self == .kfac }
    }

    /// nil for what follows from the files given.
    public var kind: Kind?
    /// A statistics file of `calibrate`.
    public var statistics: String?
    /// A safetensors file of mean squared gradients, under the names and in the shapes of the weights.
    public var fisher: String?
    /// Text to compress in sequence with: every matrix for the inputs that the compressed network gives it.
    public var text: SequenceSource?
    /// Whether it is an error where that cannot be done, and not a notice.
    public var insistsOnSequence = false

    public init(
        kind: Kind? = nil, statistics: String? = nil, fisher: String? = nil, text: SequenceSource? = nil
    ) {
        self.kind = kind
        self.statistics = statistics
        self.fisher = fisher
        self.text = text
    }

    /// Whether the activations of the model are looked at.
    public var knowsActivations: Bool { statistics != nil || text != nil }

    /// The objective in force.
    public var effectiveKind: Kind {
        kind ?? (knowsActivations ? .activations : fisher != nil ? .fisher : .weights)
    }

    /// - Throws: `JobError.usage` where a file is missing that the objective needs, or given for nothing.
    public func validate() throws(JobError) {
        let name = "--objective \(effectiveKind.rawValue)"
        switch effectiveKind {
        case .activations where !knowsActivations, .asvd where statistics == nil, .kfac where statistics == nil:
            throw .usage("\(name) needs --stats, a file that calibrate wrote")
        case .fisher where fisher == nil:
            throw .usage("\(name) needs --fisher, a file of mean squared gradients")
        case .weights, .activations, .asvd, .kfac:
            if text != nil, !effectiveKind.goesInSequence { throw .usage(Self.textMessage(name)) }
            if fisher != nil { throw .usage("\(name) does not use --fisher; give --objective fisher or leave it out") }
        case .fisher:
            if text != nil { throw .usage(Self.textMessage(name)) }
        }
    }

    private static func textMessage(_ objective: String) -> String {
        "\(objective) does not go with --sequential, which fits matrices to activations"
    }
}
