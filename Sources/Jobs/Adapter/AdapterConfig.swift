import Checkpoints
import Safetensors

/// adapter_config.json of PEFT for an adapter whose ranks differ: α = r everywhere, so that B A is added as it is.
struct AdapterConfig {
    /// Rank by the name that the module has in transformers.
    let ranks: [(module: String, rank: Int)]
    /// The dense model whose weights the adapter is added to.
    let base: String?
    let model: Checkpoint

    var json: JSON {
        let largest = ranks.map(\.rank).max() ?? 0
        let pattern = ranks.map { (key: $0.module, value: JSON($0.rank)) }
        return [
            "peft_type": "LORA", "task_type": isDecoder ? "CAUSAL_LM" : "FEATURE_EXTRACTION",
            "base_model_name_or_path": base.map { JSON($0) } ?? .null, "r": JSON(largest), "lora_alpha": JSON(largest),
            "rank_pattern": .object(JSONObject(pattern)), "alpha_pattern": .object(JSONObject(pattern)),
            "target_modules": JSON(ranks.map(\.module)), "lora_dropout": 0, "bias": "none", "use_rslora": false,
            "fan_in_fan_out": JSON(isTransposed), "init_lora_weights": true, "inference_mode": true,
        ]
    }

    private var isTransposed: Bool {
        model.linearModules.contains { $0.isTransposed && $0.selectedByDefault }
            || model.compressedModules.contains { $0.isTransposed }
    }

    private var isDecoder: Bool {
        let names = model.config["architectures"]?.array?.compactMap(\.string) ?? []
        return names.contains { $0.contains("CausalLM") || $0.contains("LMHead") }
    }

    /// The names of the tensors of a module's adapter.
    static func tensorNames(of module: String) -> (a: String, b: String) {
        let prefix = "base_model.model.\(module)"
        return ("\(prefix).lora_A.weight", "\(prefix).lora_B.weight")
    }
}
