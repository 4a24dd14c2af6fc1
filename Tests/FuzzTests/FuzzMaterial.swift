import Foundation
import Jobs
import MatrixCore
import Planning
import Safetensors

/// Small valid files of every kind, to be changed: a model of two layers, dense, in shards and compressed by every
/// method, its statistics, plan and part.
final class FuzzMaterial {
    let folder: String
    let dense: String
    let sharded: String
    let compressed: [String]
    let statistics: String
    let plan: JSON
    let part: String
    let tokens: String

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("fuzz-\(UUID().uuidString)").path
        dense = folder + "/dense"
        sharded = folder + "/sharded"
        statistics = folder + "/stats.safetensors"
        part = folder + "/part"
        tokens = folder + "/tokens.json"
        try FileManager.default.createDirectory(atPath: dense, withIntermediateDirectories: true)
        try AtomicFile.write(JSON((0..<24).map { ($0 * 7) % 32 }).text(pretty: false), to: tokens)
        try AtomicFile.write(Self.config.text(pretty: true), to: dense + "/config.json")
        try Self.writeWeights(to: dense + "/model.safetensors")
        let source = SequenceSource(.tokens(tokens), context: 8)
        try ReconstructJob(input: dense, output: sharded, maximumShardBytes: 6000).run()
        _ = try CalibrateJob(CalibrationRequest(checkpoint: dense, source: source, output: statistics)).run()
        var compressed: [String] = []
        for (index, method) in MethodRegistry.methods.enumerated() {
            var request = CompressionRequest(
                checkpoint: dense, output: "\(folder)/compressed\(index)", target: .keep(0.8), method: method)
            request.settings.storage = index == 0 ? .pivot : .factors
            try CompressJob(request).run()
            compressed.append(request.output)
        }
        self.compressed = compressed
        var request = CompressionRequest(checkpoint: dense, output: part, target: .keep(0.5))
        plan = try CompressJob(request).plan().json()
        request.shard = Shard(index: 1, of: 1)
        try CompressJob(request).runPart()
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private static let config: JSON = [
        "model_type": "llama", "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2,
        "num_key_value_heads": 2, "num_hidden_layers": 2, "vocab_size": 32, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": false,
        "torch_dtype": "float32",
    ]

    private static func writeWeights(to path: String) throws {
        var tensors: [TensorDeclaration] = []
        func add(_ name: String, _ shape: Int...) {
            tensors.append(TensorDeclaration(name: name + ".weight", dtype: .f32, shape: shape))
        }
        add("model.embed_tokens", 32, 16)
        add("lm_head", 32, 16)
        add("model.norm", 16)
        for layer in 0..<2 {
            let block = "model.layers.\(layer)."
            for name in ["q_proj", "k_proj", "v_proj", "o_proj"] { add(block + "self_attn." + name, 16, 16) }
            for name in ["gate_proj", "up_proj"] { add(block + "mlp." + name, 24, 16) }
            add(block + "mlp.down_proj", 16, 24)
            for name in ["input_layernorm", "post_attention_layernorm"] { add(block + name, 16) }
        }
        let writer = try SafetensorsWriter(path: path, tensors: tensors)
        for (stream, tensor) in writer.layout.enumerated() {
            let random = CounterRandom(seed: 5, stream: UInt64(stream))
            let numbers = (0..<tensor.elementCount).map { Float(random.uniform($0) - 0.5) }
            try numbers.withUnsafeBytes { try writer.append($0, to: tensor.name) }
        }
        try writer.finish()
    }

    /// The bytes of a file.
    static func bytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }
}
