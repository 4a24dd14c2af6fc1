import Checkpoints
import Safetensors

/// A family with the numbers of one model's config.json: everything the forward pass needs beside the weights.
///
/// Both spellings of the file are read: `rope_theta`, `rope_scaling`, and the newer `rope_parameters`, `layer_types`.
public struct ModelDescription: Sendable {
    public let family: ModelFamily
    public let hidden: Int
    public let layers: Int
    public let heads: Int
    public let keyValueHeads: Int
    public let headDimension: Int
    /// Tokens that a sequence may have; nil where the configuration sets no limit.
    public let positionLimit: Int?
    /// Whether a token sees only those before it; an encoder's tokens see all.
    public var isCausal: Bool { family.isCausal }
    let residual: ModelFamily.ResidualForm
    let normEpsilon: Float
    let activation: Activation
    /// nil for learned positions.
    let rotary: RotaryDescription?
    /// For each layer: how many positions back a token sees, itself included; nil for all.
    let slidingWindows: [Int?]
    /// For each layer: what the products of queries and keys are multiplied with.
    let attentionScales: [Float]
    let routing: ExpertRouting
    /// Whether the head is the embedding.
    public internal(set) var tiesHead: Bool
    /// The token that begins a text, by config.json.
    public let bosToken: Int32?
    /// Tokens that end a text, by config.json.
    public let eosTokens: [Int32]

    /// How tokens choose experts.
    struct ExpertRouting: Sendable {
        let active: Int
        /// Whether the shares of the chosen experts are scaled to a sum of one.
        let isNormalised: Bool
    }

    /// - Throws: `ModelError` for a family that cannot be run, and for settings that are missing or not supported.
    public init(config: JSON, modelType: String?) throws(ModelError) {
        let name = modelType ?? "unknown"
        guard let family = ModelFamily.all.first(where: { $0.modelType == name }) else {
            throw .unsupportedArchitecture(name, supported: ModelFamily.supported)
        }
        self.family = family
        let dimensions = ModelDimensions(config: config)
        hidden = try Self.positive(dimensions.hidden, "hidden_size")
        layers = try Self.positive(dimensions.layers, "num_hidden_layers")
        heads = try Self.positive(dimensions.attentionHeads, "num_attention_heads")
        keyValueHeads = try Self.positive(dimensions.keyValueHeads, "num_key_value_heads")
        headDimension = try Self.positive(dimensions.headDimension, "head_dim")
        guard heads % keyValueHeads == 0 else {
            throw .badSetting(key: "num_key_value_heads", expected: "a divisor of the \(heads) attention heads")
        }
        tiesHead = config["tie_word_embeddings"]?.bool ?? family.tiesHeadByDefault
        normEpsilon = Float(
            config["rms_norm_eps"]?.double ?? config["layer_norm_eps"]?.double ?? config["layer_norm_epsilon"]?.double
                ?? family.defaults.normEpsilon)
        activation = try Self.activation(config, family)
        residual = config["use_parallel_residual"]?.bool == false ? .sequential : family.residual
        rotary =
            family.defaults.ropeTheta == nil
            ? nil
            : try RotaryDescription(
                config: config, defaults: family.defaults, headDimension: headDimension,
                positions: dimensions.positions)
        positionLimit = Self.positionLimit(dimensions.positions, rotary)
        slidingWindows = try Self.slidingWindows(config, family, layers: layers)
        attentionScales = Self.attentionScales(config, headDimension: headDimension, layers: layers)
        routing = ExpertRouting(
            active: config["num_experts_per_tok"]?.int ?? 2,
            isNormalised: family.modelType == "mixtral" || config["norm_topk_prob"]?.bool ?? false)
        bosToken = Self.tokens(config["bos_token_id"]).first
        eosTokens = Self.tokens(config["eos_token_id"])
        try Self.refuseUnknownSettings(config, family)
    }

    /// Beyond every model; products of two sizes fit an Int.
    private static let largestSize = 1 << 20

    private static func positive(_ value: Int?, _ key: String) throws(ModelError) -> Int {
        guard let value, value > 0 else { throw .badSetting(key: key, expected: "a whole number above 0") }
        guard value <= largestSize else { throw .badSetting(key: key, expected: "a number up to \(largestSize)") }
        return value
    }

    /// One id or a list of them.
    private static func tokens(_ value: JSON?) -> [Int32] {
        (value?.array ?? value.map { [$0] } ?? []).compactMap { $0.int.flatMap { Int32(exactly: $0) } }
    }

    private static func activation(_ config: JSON, _ family: ModelFamily) throws(ModelError) -> Activation {
        let name =
            config["hidden_act"]?.string ?? config["hidden_activation"]?.string
            ?? config["activation_function"]?.string ?? family.defaults.activation
        guard let activation = Activation(name: name) else {
            throw .unsupportedSetting(key: "hidden_act", value: "\"\(name)\"")
        }
        return activation
    }

    /// Dynamic scaling is made for sequences longer than in training; other models end with their positions.
    private static func positionLimit(_ positions: Int?, _ rotary: RotaryDescription?) -> Int? {
        guard let positions else { return nil }
        if case .dynamic(let factor) = rotary?.scaling { return Int(Double(positions) * max(factor, 1)) }
        return positions
    }

    private static func slidingWindows(
        _ config: JSON, _ family: ModelFamily, layers: Int
    ) throws(ModelError) -> [Int?] {
        let isUsed = config["use_sliding_window"]?.bool ?? false
        // An explicit null means none; a key that is left out means the default of the family.
        let window = config["sliding_window"].map { $0.int } ?? family.defaults.slidingWindow
        switch family.slidingWindows {
        case .none: return Array(repeating: nil, count: layers)
        case .everyLayer: return Array(repeating: window, count: layers)
        case .everyLayerIfUsed: return Array(repeating: isUsed ? window : nil, count: layers)
        case .upperLayersIfUsed: break
        }
        if let types = config["layer_types"]?.array {
            var windows: [Int?] = []
            for type in types.map({ $0.string ?? "" }) {
                guard ["full_attention", "sliding_attention"].contains(type) else {
                    throw .unsupportedSetting(key: "layer_types", value: "\"\(type)\"")
                }
                windows.append(type == "sliding_attention" ? window : nil)
            }
            guard windows.count == layers else {
                throw .badSetting(key: "layer_types", expected: "one for each of the \(layers) layers")
            }
            return windows
        }
        let first = config["max_window_layers"]?.int ?? 28
        return (0..<layers).map { isUsed && $0 >= first ? window : nil }
    }

    private static func attentionScales(_ config: JSON, headDimension: Int, layers: Int) -> [Float] {
        let scale = config["scale_attn_weights"]?.bool == false ? 1 : 1 / Float(headDimension).squareRoot()
        let isByLayer = config["scale_attn_by_inverse_layer_idx"]?.bool ?? false
        return (0..<layers).map { isByLayer ? scale / Float($0 + 1) : scale }
    }

    /// Settings that would change the arithmetic silently.
    private static func refuseUnknownSettings(_ config: JSON, _ family: ModelFamily) throws(ModelError) {
        if let kind = config["position_embedding_type"]?.string, kind != "absolute", family.modelType == "bert" {
            throw .unsupportedSetting(key: "position_embedding_type", value: "\"\(kind)\"")
        }
        if config["add_cross_attention"]?.bool == true {
            throw .unsupportedSetting(key: "add_cross_attention", value: "true")
        }
        if family.modelType == "bert", config["is_decoder"]?.bool == true {
            throw .unsupportedSetting(key: "is_decoder", value: "true")
        }
    }
}
