import Checkpoints
import Foundation
import MatrixCore
import Safetensors
import Testing

@Suite("extract-lora and --export peft")
struct ExtractCommandTests {
    private let folder: ModelFolder
    private static let module = "model.layers.2.mlp.up_proj"

    init() throws { folder = try ModelFolder() }

    private func run(_ words: [String]) throws {
        let run = try ProgramRun.of(words + ["--quiet"])
        try #require(run.code == 0, "\(run.errors)")
    }

    /// Largest |A − (B + lora_B lora_A)| over a weight, and the largest entry of the weight.
    private func deviation(_ adapter: String, of model: String, from base: String) throws -> (Double, Double) {
        let weights = try SafetensorsFile(path: adapter + "/adapter_model.safetensors")
        func matrix(_ name: String) throws -> MatrixOperand {
            let info = try #require(weights.tensor(named: name))
            let bytes = try weights.bytes(of: name)
            return MatrixOperand(
                base: bytes.base, type: try #require(info.dtype.elementType), rows: info.shape[0],
                columns: info.shape[1],
                rowStride: info.shape[1], owner: bytes.owner)
        }
        let a = try matrix("base_model.model.\(Self.module).lora_A.weight")
        let b = try matrix("base_model.model.\(Self.module).lora_B.weight")
        let name = Self.module + ".weight"
        let target = try Checkpoint(path: model).operand(of: name)
        let dense = try Checkpoint(path: base).operand(of: name)
        var worst = 0.0
        var largest = 0.0
        for row in 0..<target.rows {
            for column in 0..<target.columns {
                let product = (0..<a.rows).reduce(0.0) { $0 + b[row, $1] * a[$1, column] }
                worst = max(worst, abs(target[row, column] - dense[row, column] - product))
                largest = max(largest, abs(target[row, column]))
            }
        }
        return (worst, largest)
    }

    @Test("the whole loss of a compression as an adapter gives the dense weights again")
    func fullRank() throws {
        try run(["compress", ModelFolder.fixture, "-o", folder.at("small"), "--keep", "0.5"])
        try run(["reconstruct", folder.at("small"), "-o", folder.at("dense"), "--dtype", "f32"])
        try run([
            "extract-lora", ModelFolder.fixture, "--base", folder.at("small"), "-o", folder.at("adapter"), "--energy",
            "1",
            "--factor-dtype", "f32",
        ])
        let (worst, largest) = try deviation(folder.at("adapter"), of: ModelFolder.fixture, from: folder.at("dense"))
        #expect(worst < 1e-5 * largest)
    }

    @Test("ranks differ between matrices, alpha is the rank, and the configuration lists them")
    func configuration() throws {
        try run([
            "compress", ModelFolder.fixture, "-o", folder.at("small"), "--keep", "0.5", "--export", "peft",
            "--export-energy",
            "0.5",
        ])
        let config = try JSON.parse(file: folder.at("small/peft/adapter_config.json"))
        let ranks = try #require(config["rank_pattern"]?.object)
        #expect(ranks.count == 35 && Set(ranks.entries.compactMap { $0.value.int }).count > 1)
        #expect(config["alpha_pattern"] == config["rank_pattern"])
        #expect(
            config["r"] == config["lora_alpha"] && config["peft_type"] == "LORA" && config["task_type"] == "CAUSAL_LM")
        let weights = try SafetensorsFile(path: folder.at("small/peft/adapter_model.safetensors"))
        for entry in ranks.entries {
            #expect(
                weights.tensor(named: "base_model.model.\(entry.key).lora_A.weight")?.shape.first == entry.value.int)
            #expect(weights.tensor(named: "base_model.model.\(entry.key).lora_B.weight")?.shape.last == entry.value.int)
        }
        try run(["reconstruct", folder.at("small"), "-o", folder.at("dense")])
        #expect(try !folder.content(of: "dense").keys.contains { $0.hasPrefix("peft") })
    }

    @Test("--rank caps the rank, and equal checkpoints give an empty adapter")
    func caps() throws {
        try run(["compress", ModelFolder.fixture, "-o", folder.at("small"), "--keep", "0.5"])
        try run([
            "extract-lora", ModelFolder.fixture, "--base", folder.at("small"), "-o", folder.at("four"), "--rank", "4",
        ])
        let config = try JSON.parse(file: folder.at("four/adapter_config.json"))
        #expect(config["r"]?.int == 4)
        try run([
            "extract-lora", ModelFolder.fixture, "--base", folder.at("small"), "-o", folder.at("attention"),
            "--include", "q_proj",
        ])
        #expect(try JSON.parse(file: folder.at("attention/adapter_config.json"))["target_modules"]?.array?.count == 5)
        let copy = try folder.copyOfFixture()
        try run(["extract-lora", ModelFolder.fixture, "--base", copy, "-o", folder.at("none")])
        #expect(try JSON.parse(file: folder.at("none/adapter_config.json"))["target_modules"]?.array?.isEmpty == true)
    }

    @Test("the rank of an adapter without an adapter is refused")
    func refusals() throws {
        let words = ["compress", ModelFolder.fixture, "-o", folder.at("a"), "--keep", "0.5", "--export-rank", "8"]
        let run = try ProgramRun.of(words)
        #expect(run.code == 2 && run.errors.contains("--export peft"))
    }

    /// A block with one expert, its numbers drawn apart by `step`.
    private func expertModel(_ name: String, step: Float) throws -> String {
        let folder = folder.at(name), prefix = "model.layers.0."
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let modules = ["w1", "w2", "w3"].map { "block_sparse_moe.experts.0.\($0)" } + ["self_attn.q_proj"]
        let names = modules.map { "\(prefix)\($0).weight" }
        let writer = try SafetensorsWriter(
            path: folder + "/model.safetensors",
            tensors: names.map { TensorDeclaration(name: $0, dtype: .f32, shape: [6, 6]) })
        for (index, name) in names.enumerated() {
            let values = (0..<36).map { Float($0 * $0 % 7) * step + Float(index) }
            try values.withUnsafeBytes { try writer.append($0, to: name) }
        }
        try writer.finish()
        let config: JSON = [
            "model_type": "mixtral", "num_hidden_layers": 1, "hidden_size": 6, "num_attention_heads": 1,
            "num_local_experts": 1, "num_experts_per_tok": 1,
        ]
        try config.text(pretty: true).write(toFile: folder + "/config.json", atomically: true, encoding: .utf8)
        return folder
    }

    @Test("experts are left out with a warning, and alone they are an error")
    func experts() throws {
        let words = ["extract-lora", try expertModel("a", step: 2), "--base", try expertModel("b", step: 1), "-o"]
        let alone = try ProgramRun.of(words + [folder.at("adapter"), "--include", "experts"])
        #expect(alone.code == 2 && alone.errors.contains("only matrices of experts are selected"), "\(alone.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.at("adapter")))
        let beside = try ProgramRun.of(words + [folder.at("adapter")])
        #expect(beside.code == 0 && beside.errors.contains("3 matrices of experts are left out"), "\(beside.errors)")
        let weights = try SafetensorsFile(path: folder.at("adapter/adapter_model.safetensors"))
        #expect(weights.tensors.allSatisfy { $0.name.contains("q_proj") } && weights.tensors.count == 2)
    }
}
