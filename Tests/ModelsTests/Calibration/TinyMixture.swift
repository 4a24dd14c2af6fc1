import Checkpoints
import CompressionCore
import Foundation
import MatrixCore
import Models
import Safetensors

/// A model of the Mixtral family with random weights: two layers, four experts of which a token uses two.
final class TinyMixture {
    static let experts = 4, active = 2, layers = 2, hidden = 12, inner = 20, vocabulary = 30
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("mixture-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let tensors = Self.tensors
        let writer = try CheckpointWriter(
            folder: folder.path, config: Self.config,
            tensors: tensors.map { TensorDeclaration(name: $0.name, dtype: .f32, shape: $0.shape) },
            maximumShardBytes: 1_000_000)
        for (index, tensor) in tensors.enumerated() {
            let random = CounterRandom(seed: UInt64(index))
            let isNorm = tensor.shape.count == 1
            let numbers = (0..<tensor.shape.reduce(1, *)).map { Float(random.normal($0) * 0.3) + (isNorm ? 1 : 0) }
            try numbers.withUnsafeBytes { try writer.append($0, to: tensor.name) }
        }
        try writer.finish()
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func model() throws -> Model {
        try Model(Checkpoint(path: folder.path), library: OperatorLibrary([DenseOperator.self]))
    }

    private static let config: JSON = [
        "model_type": "mixtral", "hidden_size": JSON(hidden), "intermediate_size": JSON(inner),
        "num_hidden_layers": JSON(layers), "num_attention_heads": 3, "num_key_value_heads": 1,
        "num_local_experts": JSON(experts), "num_experts_per_tok": JSON(active), "vocab_size": JSON(vocabulary),
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": false, "sliding_window": .null,
    ]

    private static var tensors: [(name: String, shape: [Int])] {
        var tensors: [(name: String, shape: [Int])] = [
            ("model.embed_tokens.weight", [vocabulary, hidden]), ("model.norm.weight", [hidden]),
            ("lm_head.weight", [vocabulary, hidden]),
        ]
        for layer in 0..<layers {
            let prefix = "model.layers.\(layer)."
            tensors += [
                (prefix + "self_attn.q_proj.weight", [12, hidden]), (prefix + "self_attn.k_proj.weight", [4, hidden]),
                (prefix + "self_attn.v_proj.weight", [4, hidden]), (prefix + "self_attn.o_proj.weight", [hidden, 12]),
                (prefix + "input_layernorm.weight", [hidden]), (prefix + "post_attention_layernorm.weight", [hidden]),
                (prefix + "block_sparse_moe.gate.weight", [experts, hidden]),
            ]
            for expert in 0..<experts {
                let name = prefix + "block_sparse_moe.experts.\(expert)."
                tensors += [
                    (name + "w1.weight", [inner, hidden]), (name + "w2.weight", [hidden, inner]),
                    (name + "w3.weight", [inner, hidden]),
                ]
            }
        }
        return tensors
    }
}
