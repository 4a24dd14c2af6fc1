extension Architecture {
    /// Every family that is known by name; other models are read by the names and shapes of their tensors.
    ///
    /// - Source: the module trees of the Hugging Face transformers library (4.57 and 5), in the names that it saves.
    public static let families = [llama, mistral, qwen2, qwen3, qwen3MoE, mixtral, gptNeoX, gpt2, bert]

    static let llama = decoder("llama", modelTypes: ["llama"], mlp: gatedMLP)
    static let mistral = decoder("mistral", modelTypes: ["mistral"], mlp: gatedMLP)
    static let qwen2 = decoder("qwen2", modelTypes: ["qwen2"], mlp: gatedMLP)
    static let qwen3 = decoder("qwen3", modelTypes: ["qwen3"], mlp: headNorms + gatedMLP)

    static let qwen3MoE = decoder(
        "qwen3_moe", modelTypes: ["qwen3_moe"],
        mlp: headNorms + [router("mlp.gate")]
            + singleExperts("mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj")
            + stackedExperts("mlp.experts")
            + gatedMLP.map { Module(pattern: $0.pattern, role: $0.role, shape: $0.shape, presence: .optional) })

    static let mixtral = decoder(
        "mixtral", modelTypes: ["mixtral"],
        mlp: [router("block_sparse_moe.gate"), router("mlp.gate")]
            + singleExperts("block_sparse_moe.experts", gate: "w1", up: "w3", down: "w2")
            + stackedExperts("block_sparse_moe.experts") + stackedExperts("mlp.experts"))

    /// Query, key and value are fused head by head, not one after the other.
    static let gptNeoX = Architecture(
        name: "gpt_neox", modelTypes: ["gpt_neox"], prefixes: ["gpt_neox."], tiesHeadByDefault: false,
        modules: [
            Module(pattern: "embed_in", role: .embedding, shape: [.vocabulary, .hidden]),
            Module(
                pattern: "layers.#.attention.query_key_value", role: .attentionFused, shape: [.queryKeyValue, .hidden]),
            Module(pattern: "layers.#.attention.dense", role: .attentionOutput, shape: [.hidden, .query]),
            Module(pattern: "layers.#.mlp.dense_h_to_4h", role: .mlpIn, shape: [.intermediate, .hidden]),
            Module(pattern: "layers.#.mlp.dense_4h_to_h", role: .mlpOut, shape: [.hidden, .intermediate]),
            Module(pattern: "layers.#.input_layernorm", role: .norm, shape: [.hidden]),
            Module(pattern: "layers.#.post_attention_layernorm", role: .norm, shape: [.hidden]),
            Module(pattern: "final_layer_norm", role: .norm, shape: [.hidden]),
            Module(pattern: "embed_out", role: .head, shape: [.vocabulary, .hidden], presence: .optional),
            Module(pattern: "lm_head", role: .head, shape: [.vocabulary, .hidden], presence: .optional),
        ])

    /// Its linear layers are `Conv1D`, whose weight is (in × out).
    static let gpt2 = Architecture(
        name: "gpt2", modelTypes: ["gpt2"], prefixes: ["transformer."], tiesHeadByDefault: true,
        modules: [
            Module(pattern: "wte", role: .embedding, shape: [.vocabulary, .hidden]),
            Module(pattern: "wpe", role: .positionEmbedding, shape: [.positions, .hidden]),
            Module(
                pattern: "h.#.attn.c_attn", role: .attentionFused, shape: [.hidden, .queryKeyValue],
                isTransposed: true),
            Module(pattern: "h.#.attn.c_proj", role: .attentionOutput, shape: [.query, .hidden], isTransposed: true),
            Module(pattern: "h.#.mlp.c_fc", role: .mlpIn, shape: [.hidden, .intermediate], isTransposed: true),
            Module(pattern: "h.#.mlp.c_proj", role: .mlpOut, shape: [.intermediate, .hidden], isTransposed: true),
            Module(pattern: "h.#.ln_1", role: .norm, shape: [.hidden]),
            Module(pattern: "h.#.ln_2", role: .norm, shape: [.hidden]),
            Module(pattern: "ln_f", role: .norm, shape: [.hidden]),
            Module(pattern: "lm_head", role: .head, shape: [.vocabulary, .hidden], presence: .optional),
        ])

    static let bert = Architecture(
        name: "bert", modelTypes: ["bert"], prefixes: ["bert.", "model."], tiesHeadByDefault: true,
        modules: [
            Module(pattern: "embeddings.word_embeddings", role: .embedding, shape: [.vocabulary, .hidden]),
            Module(pattern: "embeddings.position_embeddings", role: .positionEmbedding, shape: [.positions, .hidden]),
            Module(pattern: "embeddings.token_type_embeddings", role: .typeEmbedding, shape: [.types, .hidden]),
            Module(pattern: "embeddings.LayerNorm", role: .norm, shape: [.hidden]),
            bertLayer("attention.self.query", .attentionQuery, [.query, .hidden]),
            bertLayer("attention.self.key", .attentionKey, [.query, .hidden]),
            bertLayer("attention.self.value", .attentionValue, [.query, .hidden]),
            bertLayer("attention.output.dense", .attentionOutput, [.hidden, .query]),
            bertLayer("attention.output.LayerNorm", .norm, [.hidden]),
            bertLayer("intermediate.dense", .mlpIn, [.intermediate, .hidden]),
            bertLayer("output.dense", .mlpOut, [.hidden, .intermediate]),
            bertLayer("output.LayerNorm", .norm, [.hidden]),
            Module(pattern: "pooler.dense", role: .linear, shape: [.hidden, .hidden], presence: .optional),
            Module(
                pattern: "cls.predictions.transform.dense", role: .linear, shape: [.hidden, .hidden],
                presence: .optional),
            Module(pattern: "cls.predictions.transform.LayerNorm", role: .norm, shape: [.hidden], presence: .optional),
            Module(
                pattern: "cls.predictions.decoder", role: .head, shape: [.vocabulary, .hidden], presence: .optional),
        ])

    // MARK: Parts

    /// A decoder in the names of Llama.
    private static func decoder(_ name: String, modelTypes: [String], mlp: [Module]) -> Architecture {
        let attention = [
            Module(pattern: "embed_tokens", role: .embedding, shape: [.vocabulary, .hidden]),
            Module(pattern: "layers.#.self_attn.q_proj", role: .attentionQuery, shape: [.query, .hidden]),
            Module(pattern: "layers.#.self_attn.k_proj", role: .attentionKey, shape: [.keyValue, .hidden]),
            Module(pattern: "layers.#.self_attn.v_proj", role: .attentionValue, shape: [.keyValue, .hidden]),
            Module(pattern: "layers.#.self_attn.o_proj", role: .attentionOutput, shape: [.hidden, .query]),
        ]
        let rest = [
            Module(pattern: "layers.#.input_layernorm", role: .norm, shape: [.hidden]),
            Module(pattern: "layers.#.post_attention_layernorm", role: .norm, shape: [.hidden]),
            Module(pattern: "norm", role: .norm, shape: [.hidden]),
            Module(pattern: "lm_head", role: .head, shape: [.vocabulary, .hidden], presence: .optional),
        ]
        return Architecture(
            name: name, modelTypes: modelTypes, prefixes: ["model."], tiesHeadByDefault: false,
            modules: attention + mlp + rest)
    }

    private static let gatedMLP = [
        Module(pattern: "layers.#.mlp.gate_proj", role: .mlpGate, shape: [.intermediate, .hidden]),
        Module(pattern: "layers.#.mlp.up_proj", role: .mlpUp, shape: [.intermediate, .hidden]),
        Module(pattern: "layers.#.mlp.down_proj", role: .mlpDown, shape: [.hidden, .intermediate]),
    ]

    private static let headNorms = [
        Module(pattern: "layers.#.self_attn.q_norm", role: .norm, shape: [.head]),
        Module(pattern: "layers.#.self_attn.k_norm", role: .norm, shape: [.head]),
    ]

    private static func router(_ name: String) -> Module {
        Module(pattern: "layers.#.\(name)", role: .router, shape: [.experts, .hidden], presence: .optional)
    }

    /// Experts as modules of their own.
    private static func singleExperts(_ block: String, gate: String, up: String, down: String) -> [Module] {
        let modules: [(name: String, role: ModuleRole, shape: [Side])] = [
            (gate, .expertGate, [.expertIntermediate, .hidden]), (up, .expertUp, [.expertIntermediate, .hidden]),
            (down, .expertDown, [.hidden, .expertIntermediate]),
        ]
        return modules.map {
            Module(
                pattern: "layers.#.\(block).#.\($0.name)", role: $0.role, shape: $0.shape, presence: .oneFormOfExperts)
        }
    }

    /// Experts as the stacks (experts × out × in) that transformers 5 holds in memory.
    private static func stackedExperts(_ block: String) -> [Module] {
        let gateUp: [Side] = [.experts, .twiceExpertIntermediate, .hidden]
        let down: [Side] = [.experts, .hidden, .expertIntermediate]
        return [
            Module(pattern: "layers.#.\(block).gate_up_proj", role: .expertFused, shape: gateUp, presence: .optional),
            Module(pattern: "layers.#.\(block).down_proj", role: .expertDown, shape: down, presence: .optional),
        ]
    }

    private static func bertLayer(_ name: String, _ role: ModuleRole, _ shape: [Side]) -> Module {
        Module(pattern: "encoder.layer.#.\(name)", role: role, shape: shape)
    }
}
