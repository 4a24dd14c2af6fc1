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

    @Test("--rank caps the rank, and the smallest share of the difference is a rank of one")
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
        try run([
            "extract-lora", ModelFolder.fixture, "--base", folder.at("small"), "-o", folder.at("least"), "--energy",
            "1e-17",
        ])
        let ranks = try JSON.parse(file: folder.at("least/adapter_config.json"))["rank_pattern"]?.object?.entries ?? []
        #expect(ranks.count == 35 && ranks.allSatisfy { $0.value.int == 1 })
    }

    @Test("there is no adapter without a difference: PEFT could not load it")
    func noDifference() throws {
        let copy = try folder.copyOfFixture()
        let equal = try ProgramRun.of(["extract-lora", ModelFolder.fixture, "--base", copy, "-o", folder.at("none")])
        #expect(equal.code == 3 && equal.errors.contains("every selected matrix is the same as in \(copy)"))
        #expect(try folder.names == ["model"])
        // What a compression without a loss would export.
        let words = [
            "compress", ModelFolder.fixture, "-o", folder.at("small"), "--max-error", "1e-6", "--export", "peft", "-q",
        ]
        let lossless = try ProgramRun.of(words)
        #expect(lossless.code == 0 && lossless.errors.contains("peft is left out"), "\(lossless.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.at("small/peft")))
    }

    @Test("a weight that is not a number is no equal one")
    func numbersThatAreNone() throws {
        let copy = try folder.copyOfFixture(), path = copy + "/model.safetensors"
        let tensor = try #require(try SafetensorsFile(path: path).tensor(named: Self.module + ".weight"))
        let start = tensor.byteRange.lowerBound
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        (bytes[start], bytes[start + 1]) = (0xC0, 0x7F)
        try bytes.write(to: URL(fileURLWithPath: path))
        let found = try ProgramRun.of([
            "extract-lora", copy, "--base", ModelFolder.fixture, "-o", folder.at("out"), "-q",
        ])
        #expect(found.code == 3 && found.errors.contains(Self.module), "\(found.errors)")
    }

    @Test("the rank of an adapter without an adapter is refused")
    func refusals() throws {
        let words = ["compress", ModelFolder.fixture, "-o", folder.at("a"), "--keep", "0.5", "--export-rank", "8"]
        let run = try ProgramRun.of(words)
        #expect(run.code == 2 && run.errors.contains("--export peft"))
    }

    private static let expertCount = 2, intermediate = 5, hidden = 6

    /// A block with two experts and a layer beside them, their numbers drawn apart by `step`.
    private func expertModel(_ name: String, type: String = "mixtral", step: Float) throws -> String {
        let folder = folder.at(name), prefix = "model.layers.0."
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let experts = (0..<Self.expertCount).flatMap { expert in
            [("w1", Self.intermediate, Self.hidden), ("w3", Self.intermediate, Self.hidden),
                ("w2", Self.hidden, Self.intermediate)]
                .map { ("\(prefix)block_sparse_moe.experts.\(expert).\($0).weight", [$1, $2]) }
        }
        let shapes = experts + [("\(prefix)self_attn.q_proj.weight", [Self.hidden, Self.hidden])]
        let writer = try SafetensorsWriter(
            path: folder + "/model.safetensors",
            tensors: shapes.map { TensorDeclaration(name: $0.0, dtype: .f32, shape: $0.1) })
        for (index, shape) in shapes.enumerated() {
            // The second expert's matrices are of rank one, so that ranks differ.
            let isFlat = shape.0.contains("experts.1.")
            let values = (0..<shape.1.reduce(1, *)).map { place in
                let row = place / shape.1[1], column = place % shape.1[1]
                return (isFlat ? Float(row + 1) * Float(column + 2) : Float(place * place % 7)) * step + Float(index)
            }
            try values.withUnsafeBytes { try writer.append($0, to: shape.0) }
        }
        try writer.finish()
        let config: JSON = [
            "model_type": JSON(type), "num_hidden_layers": 1, "hidden_size": JSON(Self.hidden),
            "intermediate_size": JSON(Self.intermediate), "num_attention_heads": 1,
            "num_local_experts": JSON(Self.expertCount), "num_experts_per_tok": 1,
        ]
        try config.text(pretty: true).write(toFile: folder + "/config.json", atomically: true, encoding: .utf8)
        return folder
    }

    /// lora_B lora_A of expert `expert` as PEFT 0.21 reads them: A (experts, r, in), B (out, r, experts).
    private func product(_ file: SafetensorsFile, _ prefix: String, expert: Int) throws -> [[Float]] {
        func numbers(_ name: String) throws -> (shape: [Int], values: [Float]) {
            let name = "base_model.model.model.layers.0.mlp.experts.\(prefix)\(name).weight"
            let shape = try #require(file.tensor(named: name)).shape
            return (shape, try file.bytes(of: name).array(of: Float.self))
        }
        let a = try numbers("lora_A"), b = try numbers("lora_B")
        let rank = a.shape[0] / Self.expertCount, inputs = a.shape[1]
        return (0..<b.shape[0]).map { row in
            (0..<inputs).map { column in
                (0..<rank).reduce(0) { sum, component in
                    let left = b.values[(row * rank + component) * Self.expertCount + expert]
                    return sum + left * a.values[(expert * rank + component) * inputs + column]
                }
            }
        }
    }

    @Test("experts of uneven ranks go into the stacks of transformers, and their product is the difference")
    func experts() throws {
        let (a, b) = (try expertModel("a", step: 2), try expertModel("b", step: 1))
        try run(["extract-lora", a, "--base", b, "-o", folder.at("adapter"), "--energy", "1"])
        let config = try JSON.parse(file: folder.at("adapter/adapter_config.json"))
        let stack = "model.layers.0.mlp.experts."
        #expect(config["target_modules"] == ["model.layers.0.self_attn.q_proj"])
        #expect(config["target_parameters"] == [JSON(stack + "gate_up_proj"), JSON(stack + "down_proj")])
        #expect(config["alpha_pattern"] == config["rank_pattern"])
        let file = try SafetensorsFile(path: folder.at("adapter/adapter_model.safetensors"))
        let models = try (Checkpoint(path: a), Checkpoint(path: b))
        for expert in 0..<Self.expertCount {
            let places = [("w1", "base_layer.", 0), ("w3", "base_layer.", Self.intermediate), ("w2", "", 0)]
            for (name, prefix, firstRow) in places {
                let weight = "model.layers.0.block_sparse_moe.experts.\(expert).\(name).weight"
                let (wanted, base) = try (models.0.operand(of: weight), models.1.operand(of: weight))
                let found = try product(file, prefix, expert: expert)
                for row in 0..<wanted.rows {
                    for column in 0..<wanted.columns {
                        let difference = Float(wanted[row, column] - base[row, column])
                        #expect(abs(found[firstRow + row][column] - difference) < 1e-4)
                    }
                }
            }
        }
        // Gate and up share the components of a slice, and the second expert's are of rank one.
        let rank = try #require(config["rank_pattern"]?[stack + "gate_up_proj"]?.int)
        #expect(rank > 2 && rank <= 2 * Self.intermediate)
    }

    @Test("one parameter of a module is wrapped once, and experts alone are an adapter too")
    func expertsAlone() throws {
        let words = ["extract-lora", try expertModel("a", step: 2), "--base", try expertModel("b", step: 1)]
        try run(words + ["-o", folder.at("adapter"), "--include", "w3"])
        let config = try JSON.parse(file: folder.at("adapter/adapter_config.json"))
        #expect(config["target_modules"] == [] && config["target_parameters"]?.array?.count == 1)
        let file = try SafetensorsFile(path: folder.at("adapter/adapter_model.safetensors"))
        #expect(file.tensors.count == 2 && file.tensors.allSatisfy { !$0.name.contains("base_layer") })
        let gate = try product(file, "", expert: 0).prefix(Self.intermediate)
        #expect(gate.allSatisfy { $0.allSatisfy { $0 == 0 } })
    }

    @Test("experts of a family whose stacks are not known are left out with a warning, and alone they are an error")
    func unknownExperts() throws {
        let models = try ["a", "b"].map { try expertModel($0, type: "phimoe", step: $0 == "a" ? 2 : 1) }
        let words = ["extract-lora", models[0], "--base", models[1], "-o", folder.at("adapter")]
        let alone = try ProgramRun.of(words + ["--include", "experts"])
        #expect(alone.code == 2 && alone.errors.contains("only matrices of experts are selected"), "\(alone.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.at("adapter")))
        let beside = try ProgramRun.of(words)
        #expect(beside.code == 0 && beside.errors.contains("6 matrices of experts are left out"), "\(beside.errors)")
        let weights = try SafetensorsFile(path: folder.at("adapter/adapter_model.safetensors"))
        #expect(weights.tensors.allSatisfy { $0.name.contains("q_proj") } && weights.tensors.count == 2)
    }
}
