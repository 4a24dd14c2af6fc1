/// What a tensor is for in its model.
public enum ModuleRole: String, Sendable, CaseIterable {
    case attentionQuery = "attention.query"
    case attentionKey = "attention.key"
    case attentionValue = "attention.value"
    case attentionOutput = "attention.output"
    /// Query, key and value in one matrix.
    case attentionFused = "attention.fused"
    case mlpGate = "mlp.gate"
    case mlpUp = "mlp.up"
    case mlpDown = "mlp.down"
    /// Gate and up in one matrix.
    case mlpFused = "mlp.fused"
    /// First and second layer of an MLP without a gate.
    case mlpIn = "mlp.in"
    case mlpOut = "mlp.out"
    case expertGate = "expert.gate"
    case expertUp = "expert.up"
    case expertDown = "expert.down"
    case expertFused = "expert.fused"
    case router
    case embedding
    case positionEmbedding = "embedding.position"
    case typeEmbedding = "embedding.type"
    /// From hidden states to the vocabulary.
    case head
    /// A linear layer that is none of the above.
    case linear
    case norm
    case bias
    /// Factors that several compressed modules share.
    case shared
    case other

    /// Whether it is the weight of a linear layer.
    public var isLinear: Bool {
        switch self {
        case .attentionQuery, .attentionKey, .attentionValue, .attentionOutput, .attentionFused, .mlpGate, .mlpUp,
            .mlpDown,
            .mlpFused, .mlpIn, .mlpOut, .expertGate, .expertUp, .expertDown, .expertFused, .router, .head, .linear:
            true
        case .embedding, .positionEmbedding, .typeEmbedding, .norm, .bias, .shared, .other:
            false
        }
    }

    /// Whether a linear layer of this role is compressed unless the user says otherwise, given that it is in a block.
    var isSelectedInBlocks: Bool {
        isLinear && self != .router && self != .head
    }
}
