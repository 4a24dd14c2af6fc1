import Safetensors

/// The lengths that config.json promises, in either of the spellings that the transformers library has used.
///
/// A value that the file does not give, or gives in a form that makes no sense, is nil; nothing is guessed but what the
/// library itself derives from other values.
public struct ModelDimensions: Sendable {
    public let hidden: Int?
    public let layers: Int?
    public let attentionHeads: Int?
    public let keyValueHeads: Int?
    public let headDimension: Int?
    public let intermediate: Int?
    public let expertIntermediate: Int?
    public let experts: Int?
    public let vocabulary: Int?
    public let positions: Int?
    public let types: Int?

    public init(config: JSON) {
        func value(_ keys: String...) -> Int? {
            for key in keys {
                if let value = config[key]?.int, value >= 0 { return value }
            }
            return nil
        }
        hidden = value("hidden_size", "n_embd")
        layers = value("num_hidden_layers", "n_layer")
        attentionHeads = value("num_attention_heads", "n_head")
        keyValueHeads = value("num_key_value_heads") ?? attentionHeads
        headDimension = value("head_dim") ?? Self.quotient(hidden, attentionHeads)
        // GPT-2 leaves the width of its MLP open where it is four times the hidden size.
        intermediate =
            value("intermediate_size", "n_inner") ?? (config["n_embd"] == nil ? nil : Self.product(hidden, 4))
        expertIntermediate = value("moe_intermediate_size") ?? intermediate
        experts = value("num_local_experts", "num_experts")
        vocabulary = value("vocab_size")
        positions = value("max_position_embeddings", "n_positions")
        types = value("type_vocab_size")
    }

    func length(of side: Architecture.Side) -> Int? {
        switch side {
        case .hidden: hidden
        case .query: Self.product(attentionHeads, headDimension)
        case .keyValue: Self.product(keyValueHeads, headDimension)
        case .queryKeyValue: Self.product(Self.product(attentionHeads, headDimension), 3)
        case .head: headDimension
        case .intermediate: intermediate
        case .expertIntermediate: expertIntermediate
        case .twiceExpertIntermediate: Self.product(expertIntermediate, 2)
        case .vocabulary: vocabulary
        case .positions: positions
        case .types: types
        case .experts: experts
        }
    }

    private static func product(_ left: Int?, _ right: Int?) -> Int? {
        guard let left, let right else { return nil }
        let (product, overflow) = left.multipliedReportingOverflow(by: right)
        return overflow ? nil : product
    }

    private static func quotient(_ left: Int?, _ right: Int?) -> Int? {
        guard let left, let right, right > 0 else { return nil }
        return left / right
    }
}
