import Foundation
import MatrixCore
import Safetensors
import TestSupport

@testable import Checkpoints

extension TemporaryFolder {
    /// Writes a safetensors file of F32 tensors (or the dtype given) whose numbers count up from 0 over the whole file.
    @discardableResult
    func writeTensors(
        _ shapes: [(name: String, shape: [Int])], dtype: TensorDType = .f32, as name: String = "model.safetensors"
    ) throws -> String {
        let file = path + "/" + name
        let writer = try SafetensorsWriter(
            path: file, tensors: shapes.map { TensorDeclaration(name: $0.name, dtype: dtype, shape: $0.shape) })
        var next = Float(0)
        for tensor in writer.layout {
            let numbers = (0..<tensor.elementCount).map { Float($0) + next }
            next += Float(tensor.elementCount)
            let bytes = Array(littleEndianBytes(numbers).prefix(tensor.byteCount))
            try bytes.withUnsafeBytes { try writer.append($0, to: tensor.name) }
        }
        try writer.finish()
        return file
    }

    func writeConfig(_ config: JSON) throws {
        _ = try write(config.text(pretty: true), as: "config.json")
    }

    func writeIndex(_ map: [(String, String)], totalSize: JSON) throws {
        let index = ShardIndex(weightMap: map.map { (tensor: $0, file: $1) }, metadata: ["total_size": totalSize])
        _ = try write(index.json.text(pretty: true), as: ShardIndex.fileName)
    }
}

/// The tensors that the transformers library (5.23) saves for two-layer models of hidden size 16, MLP 24, 4 heads (2 of
/// keys and values), 32 words, 16 positions and 4 experts (of size 8 for Qwen3-MoE), and their configurations.
enum FamilyExample {
    static let llama: [(String, [Int])] = decoder { layer in
        [("mlp.gate_proj", [24, 16]), ("mlp.up_proj", [24, 16]), ("mlp.down_proj", [16, 24])]
    }

    static let qwen3MoE: [(String, [Int])] = decoder { layer in
        [("self_attn.q_norm", [4]), ("self_attn.k_norm", [4]), ("mlp.gate", [4, 16])]
            + (0..<4).flatMap { expert in
                [("gate_proj", [8, 16]), ("up_proj", [8, 16]), ("down_proj", [16, 8])].map {
                    ("mlp.experts.\(expert).\($0.0)", $0.1)
                }
            }
    }

    static let mixtral: [(String, [Int])] = decoder { layer in
        [("block_sparse_moe.gate", [4, 16])]
            + (0..<4).flatMap { expert in
                [("w1", [24, 16]), ("w2", [16, 24]), ("w3", [24, 16])].map {
                    ("block_sparse_moe.experts.\(expert).\($0.0)", $0.1)
                }
            }
    }

    static let gptNeoX: [(String, [Int])] = {
        var tensors: [(String, [Int])] = [("embed_out.weight", [32, 16]), ("gpt_neox.embed_in.weight", [32, 16])]
        tensors += norm("gpt_neox.final_layer_norm")
        for block in ["gpt_neox.layers.0.", "gpt_neox.layers.1."] {
            tensors += norm(block + "input_layernorm") + norm(block + "post_attention_layernorm")
            tensors +=
                biased(block + "attention.query_key_value", [48, 16]) + biased(block + "attention.dense", [16, 16])
            tensors += biased(block + "mlp.dense_h_to_4h", [24, 16]) + biased(block + "mlp.dense_4h_to_h", [16, 24])
        }
        return tensors
    }()

    static let gpt2: [(String, [Int])] =
        [("transformer.wte.weight", [32, 16]), ("transformer.wpe.weight", [16, 16])] + norm("transformer.ln_f")
        + (0..<2).flatMap { layer in
            let block = "transformer.h.\(layer)."
            let linear: [(String, [Int])] = [
                (block + "attn.c_attn.weight", [16, 48]), (block + "attn.c_attn.bias", [48]),
                (block + "attn.c_proj.weight", [16, 16]), (block + "attn.c_proj.bias", [16]),
                (block + "mlp.c_fc.weight", [16, 64]), (block + "mlp.c_fc.bias", [64]),
                (block + "mlp.c_proj.weight", [64, 16]), (block + "mlp.c_proj.bias", [16]),
            ]
            return norm(block + "ln_1") + norm(block + "ln_2") + linear
        }

    static func bert(prefix: String) -> [(String, [Int])] {
        var tensors: [(String, [Int])] = [
            (prefix + "embeddings.word_embeddings.weight", [32, 16]),
            (prefix + "embeddings.position_embeddings.weight", [16, 16]),
            (prefix + "embeddings.token_type_embeddings.weight", [2, 16]),
        ]
        tensors += norm(prefix + "embeddings.LayerNorm")
        for block in [prefix + "encoder.layer.0.", prefix + "encoder.layer.1."] {
            for name in ["query", "key", "value"] { tensors += biased(block + "attention.self." + name, [16, 16]) }
            tensors += biased(block + "attention.output.dense", [16, 16]) + norm(block + "attention.output.LayerNorm")
            tensors += biased(block + "intermediate.dense", [24, 16]) + biased(block + "output.dense", [16, 24])
            tensors += norm(block + "output.LayerNorm")
        }
        return tensors
    }

    static func config(_ modelType: String, tied: Bool? = nil) -> JSON {
        var config: JSON = [
            "model_type": JSON(modelType), "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
            "num_attention_heads": 4, "vocab_size": 32, "max_position_embeddings": 16,
        ]
        switch modelType {
        case "gpt2":
            config = [
                "model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 4, "n_inner": .null, "n_positions": 16,
                "vocab_size": 32,
            ]
        case "qwen3_moe":
            config["moe_intermediate_size"] = 8
            config["head_dim"] = 4
            config["num_local_experts"] = 4
            config["num_key_value_heads"] = 2
        case "mixtral":
            config["head_dim"] = .null
            config["num_local_experts"] = 4
            config["num_key_value_heads"] = 2
        case "bert":
            config["type_vocab_size"] = 2
        case "gpt_neox":
            break
        default:
            config["num_key_value_heads"] = 2
        }
        if let tied { config["tie_word_embeddings"] = JSON(tied) }
        return config
    }

    private static func decoder(_ mlp: (Int) -> [(String, [Int])]) -> [(String, [Int])] {
        let outside: [(String, [Int])] = [
            ("lm_head.weight", [32, 16]), ("model.embed_tokens.weight", [32, 16]), ("model.norm.weight", [16]),
        ]
        return outside
            + (0..<2).flatMap { layer in
                let attention: [(String, [Int])] = [
                    ("input_layernorm", [16]), ("post_attention_layernorm", [16]), ("self_attn.q_proj", [16, 16]),
                    ("self_attn.k_proj", [8, 16]), ("self_attn.v_proj", [8, 16]), ("self_attn.o_proj", [16, 16]),
                ]
                return (attention + mlp(layer)).map { ("model.layers.\(layer).\($0.0).weight", $0.1) }
            }
    }

    private static func norm(_ name: String) -> [(String, [Int])] {
        [(name + ".weight", [16]), (name + ".bias", [16])]
    }

    private static func biased(_ name: String, _ shape: [Int]) -> [(String, [Int])] {
        [(name + ".weight", shape), (name + ".bias", [shape[0]])]
    }
}
