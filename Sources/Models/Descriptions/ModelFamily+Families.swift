extension ModelFamily {
    /// Every family that has a forward pass.
    ///
    /// - Source: the modelling files of the Hugging Face transformers library (4.57 and 5).
    static let all = [llama, mistral, qwen2, qwen3, qwen3MoE, mixtral, gptNeoX, gpt2, bert]

    /// Names of all families, for messages.
    public static var supported: [String] { all.map(\.modelType) }

    static let llama = decoder("llama", Defaults(ropeTheta: 10_000))

    static let mistral = decoder(
        "mistral", Defaults(ropeTheta: 10_000, slidingWindow: 4096), slidingWindows: .everyLayer)

    static let qwen2 = decoder(
        "qwen2", Defaults(ropeTheta: 10_000, slidingWindow: 4096), slidingWindows: .upperLayersIfUsed)

    static let qwen3 = decoder(
        "qwen3", Defaults(ropeTheta: 10_000, slidingWindow: 4096), slidingWindows: .upperLayersIfUsed, headNorms: true)

    static let qwen3MoE = decoder(
        "qwen3_moe", Defaults(ropeTheta: 10_000, slidingWindow: 4096), slidingWindows: .everyLayerIfUsed,
        headNorms: true, experts: [experts("mlp", gate: "gate_proj", up: "up_proj", down: "down_proj")])

    /// Both spellings of transformers: 4, and 5 as it holds the experts in memory.
    static let mixtral = decoder(
        "mixtral", Defaults(ropeTheta: 1_000_000, normEpsilon: 1e-5), slidingWindows: .everyLayer,
        experts: [
            experts("block_sparse_moe", gate: "w1", up: "w3", down: "w2"),
            experts("mlp", gate: "w1", up: "w3", down: "w2"),
        ])

    static let gptNeoX = ModelFamily(
        modelType: "gpt_neox", prefixes: ["gpt_neox."], tiesHeadByDefault: false, isCausal: true, normalisation: .layer,
        residual: .parallel, slidingWindows: .none,
        defaults: Defaults(ropeTheta: 10_000, partialRotaryFactor: 0.25, normEpsilon: 1e-5, activation: "gelu"),
        names: Names(embedding: "embed_in", finalNorm: "final_layer_norm", heads: ["embed_out", "lm_head"]),
        layer: LayerNames(
            prefix: "layers.#.",
            attention: AttentionNames(
                projections: .fused("attention.query_key_value", .byHead), output: "attention.dense"),
            attentionNorm: "input_layernorm",
            feedForward: .plain(input: "mlp.dense_h_to_4h", output: "mlp.dense_4h_to_h"),
            feedForwardNorm: "post_attention_layernorm"))

    static let gpt2 = ModelFamily(
        modelType: "gpt2", prefixes: ["transformer."], tiesHeadByDefault: true, isCausal: true, normalisation: .layer,
        residual: .sequential, slidingWindows: .none, defaults: Defaults(normEpsilon: 1e-5, activation: "gelu_new"),
        names: Names(embedding: "wte", positionEmbedding: "wpe", finalNorm: "ln_f", heads: ["lm_head"]),
        layer: LayerNames(
            prefix: "h.#.",
            attention: AttentionNames(projections: .fused("attn.c_attn", .byPart), output: "attn.c_proj"),
            attentionNorm: "ln_1", feedForward: .plain(input: "mlp.c_fc", output: "mlp.c_proj"),
            feedForwardNorm: "ln_2"))

    static let bert = ModelFamily(
        modelType: "bert", prefixes: ["bert.", "model."], tiesHeadByDefault: false, isCausal: false,
        normalisation: .layer, residual: .normalisedAfter, slidingWindows: .none,
        defaults: Defaults(normEpsilon: 1e-12, activation: "gelu"),
        names: Names(
            embedding: "embeddings.word_embeddings", positionEmbedding: "embeddings.position_embeddings",
            typeEmbedding: "embeddings.token_type_embeddings", embeddingNorm: "embeddings.LayerNorm"),
        layer: LayerNames(
            prefix: "encoder.layer.#.",
            attention: AttentionNames(
                projections: .separate(
                    query: "attention.self.query", key: "attention.self.key", value: "attention.self.value"),
                output: "attention.output.dense"),
            attentionNorm: "attention.output.LayerNorm",
            feedForward: .plain(input: "intermediate.dense", output: "output.dense"),
            feedForwardNorm: "output.LayerNorm"))

    // MARK: Parts

    /// A decoder in the names of Llama.
    private static func decoder(
        _ modelType: String, _ defaults: Defaults, slidingWindows: SlidingWindowRule = .none, headNorms: Bool = false,
        experts: [ExpertNames] = []
    ) -> ModelFamily {
        ModelFamily(
            modelType: modelType, prefixes: ["model."], tiesHeadByDefault: false, isCausal: true,
            normalisation: .rootMeanSquare, residual: .sequential, slidingWindows: slidingWindows, defaults: defaults,
            names: Names(embedding: "embed_tokens", finalNorm: "norm", heads: ["lm_head"]),
            layer: LayerNames(
                prefix: "layers.#.",
                attention: AttentionNames(
                    projections: .separate(
                        query: "self_attn.q_proj", key: "self_attn.k_proj", value: "self_attn.v_proj"),
                    output: "self_attn.o_proj", queryNorm: headNorms ? "self_attn.q_norm" : nil,
                    keyNorm: headNorms ? "self_attn.k_norm" : nil),
                attentionNorm: "input_layernorm",
                feedForward: .gated(gate: "mlp.gate_proj", up: "mlp.up_proj", down: "mlp.down_proj"),
                feedForwardNorm: "post_attention_layernorm", experts: experts))
    }

    private static func experts(_ block: String, gate: String, up: String, down: String) -> ExpertNames {
        ExpertNames(
            router: "\(block).gate", gate: "\(block).experts.#.\(gate)", up: "\(block).experts.#.\(up)",
            down: "\(block).experts.#.\(down)", stackedGateUp: "\(block).experts.gate_up_proj.#",
            stackedDown: "\(block).experts.down_proj.#")
    }
}
