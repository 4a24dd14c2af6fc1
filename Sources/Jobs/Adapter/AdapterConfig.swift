import Checkpoints
import Safetensors

/// adapter_config.json of PEFT for an adapter whose ranks differ: α = r everywhere, so that B A is added as it is.
struct AdapterConfig {
    let content: AdapterContent
    /// The dense model whose weights the adapter is added to.
    let base: String?
    let model: Checkpoint

    var json: JSON {
        let ranks = content.layers + content.parameters
        let largest = ranks.map(\.rank).max() ?? 0
        let pattern = JSON.object(JSONObject(ranks.map { (key: $0.name, value: JSON($0.rank)) }))
        var json: JSON = [
            "peft_type": "LORA", "task_type": isDecoder ? "CAUSAL_LM" : "FEATURE_EXTRACTION",
            "base_model_name_or_path": base.map { JSON($0) } ?? .null, "r": JSON(largest), "lora_alpha": JSON(largest),
            "rank_pattern": pattern, "alpha_pattern": pattern, "target_modules": JSON(content.layers.map(\.name)),
            "lora_dropout": 0, "bias": "none", "use_rslora": false, "fan_in_fan_out": JSON(isTransposed),
            "init_lora_weights": true, "inference_mode": true,
        ]
        // Older versions of PEFT do not know the key.
        if !content.parameters.isEmpty { json["target_parameters"] = JSON(content.parameters.map(\.name)) }
        return json
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
