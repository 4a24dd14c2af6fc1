import Foundation
import MatrixCore
import Safetensors
import TestSupport
import Testing

@testable import Checkpoints

@Suite("Checkpoints")
struct CheckpointTests {
    private let a = (name: "model.layers.0.self_attn.q_proj.weight", shape: [16, 16])
    private let b = (name: "model.layers.0.self_attn.k_proj.weight", shape: [8, 16])

    private func error(_ folder: TemporaryFolder) -> CheckpointError? {
        #expect(throws: CheckpointError.self) { try Checkpoint(path: folder.path) }
    }

    // MARK: Files

    @Test("tensors are read over shards, mapped or read", arguments: [SafetensorsFile.Access.mapped, .read])
    func readsShards(access: SafetensorsFile.Access) throws {
        let folder = try TemporaryFolder()
        try folder.writeTensors([a], as: "one.safetensors")
        try folder.writeTensors([b], as: "two.safetensors")
        try folder.writeIndex(
            [(a.name, "one.safetensors"), (b.name, "two.safetensors")], totalSize: JSON(4 * (256 + 128)))
        let checkpoint = try Checkpoint(path: folder.path, access: access)
        #expect(checkpoint.tensors.map(\.name) == [b.name, a.name])
        #expect(checkpoint.warnings == [.missingConfig(folder: folder.path)])
        #expect(checkpoint.parameterCount == 256 + 128)
        #expect(checkpoint.byteCount == 4 * (256 + 128))
        #expect(try checkpoint.operand(of: b.name)[7, 15] == 127)
        #expect(try checkpoint.bytes(of: a.name, in: 4..<8).array(of: Float.self) == [1])
        let missing = #expect(throws: CheckpointError.self) { try checkpoint.bytes(of: "none") }
        #expect(missing == .noSuchTensor(checkpoint: folder.path, tensor: "none"))
    }

    @Test("a shard that is not there, or lacks or adds a tensor, is named")
    func checksShards() throws {
        let folder = try TemporaryFolder()
        try folder.writeTensors([a], as: "one.safetensors")
        try folder.writeIndex([(a.name, "one.safetensors"), (b.name, "two.safetensors")], totalSize: 1536)
        #expect(error(folder) == .shardMissing(shard: folder.path + "/two.safetensors", tensor: b.name))

        try folder.writeTensors([a], as: "two.safetensors")
        #expect(error(folder) == .tensorMissing(shard: "two.safetensors", tensor: b.name))

        try folder.writeTensors([a, b], as: "two.safetensors")
        #expect(error(folder) == .tensorNotInIndex(shard: folder.path + "/two.safetensors", tensor: a.name))
        #expect(error(folder)?.tensor == a.name)

        _ = try folder.write("{}", as: "two.safetensors")
        let malformed = SafetensorsError(file: folder.path + "/two.safetensors", .tooShort(bytes: 2))
        #expect(error(folder) == .safetensors(malformed))
        #expect(error(folder)?.filePath == folder.path + "/two.safetensors")
        #expect(error(folder)?.systemFailure == nil)
    }

    @Test("an index cannot reach out of its folder")
    func refusesPaths() throws {
        let folder = try TemporaryFolder()
        try folder.writeIndex([(a.name, "../one.safetensors")], totalSize: 0)
        let rule = SafetensorsRule.shardName(found: "../one.safetensors")
        #expect(
            error(folder)
                == .safetensors(SafetensorsError(file: folder.path + "/" + ShardIndex.fileName, tensor: a.name, rule)))
    }

    @Test("which files are weights")
    func findsWeights() throws {
        let folder = try TemporaryFolder()
        #expect(error(folder) == .noTensors(folder: folder.path))
        try folder.writeTensors([a], as: "first.safetensors")
        #expect(try Checkpoint(path: folder.path).tensors.count == 1)
        try folder.writeTensors([b], as: "second.safetensors")
        #expect(error(folder) == .noIndex(folder: folder.path, files: ["first.safetensors", "second.safetensors"]))
        try folder.writeTensors([b])
        #expect(try Checkpoint(path: folder.path).tensors.map(\.name) == [b.name])
        try folder.writeIndex([(a.name, "first.safetensors")], totalSize: 0)
        #expect(
            try Checkpoint(path: folder.path).warnings.contains(
                .ignoredIndex(file: folder.path + "/" + ShardIndex.fileName)))
        let nowhere = #expect(throws: CheckpointError.self) { try Checkpoint(path: folder.path + "/none") }
        #expect(nowhere == .file(FileError(.open, folder.path + "/none", code: ENOENT)))
    }

    @Test("a configuration must be a JSON object")
    func checksConfig() throws {
        let folder = try TemporaryFolder()
        try folder.writeTensors([a])
        _ = try folder.write("[]", as: "config.json")
        #expect(error(folder) == .configNotObject(file: folder.path + "/config.json"))
        _ = try folder.write("{\"a\": 1, \"a\": 2}", as: "config.json")
        guard case .config(let json)? = error(folder) else {
            Issue.record("expected a configuration error")
            return
        }
        #expect(json.rule == .duplicateKey("a"))
    }

    // MARK: Warnings

    @Test("what the configuration promises and the tensors do not keep is a warning")
    func warns() throws {
        let folder = try TemporaryFolder()
        var tensors = FamilyExample.llama.filter { $0.0 != "model.layers.1.mlp.up_proj.weight" }
        tensors = tensors.map { $0.0 == "model.norm.weight" ? ($0.0, [17]) : $0 }
        tensors.append(("model.layers.2.self_attn.q_proj.weight", [16, 16]))
        try folder.writeTensors(tensors.map { (name: $0, shape: $1) })
        try folder.writeConfig(FamilyExample.config("llama"))
        let checkpoint = try Checkpoint(path: folder.path)
        #expect(
            checkpoint.warnings == [
                .layerBeyondConfig(tensor: "model.layers.2.self_attn.q_proj.weight", layers: 2),
                .shapeDisagrees(tensor: "model.norm.weight", expected: [16], found: [17]),
                .missingTensor("model.layers.1.mlp.up_proj.weight"),
            ])
    }

    @Test("what an absurd configuration promises is named as far as there are tensors", arguments: ["llama", "mixtral"])
    func warnsOfNoMoreThanThereCouldBe(family: String) throws {
        let folder = try TemporaryFolder()
        let tensors = family == "llama" ? FamilyExample.llama : FamilyExample.mixtral
        try folder.writeTensors(tensors.map { (name: $0, shape: $1) })
        var config = FamilyExample.config(family)
        config["num_hidden_layers"] = JSON(1_000_000_000_000)
        config["num_local_experts"] = JSON(1_000_000_000_000)
        try folder.writeConfig(config)
        let warnings = try Checkpoint(path: folder.path).warnings
        #expect(!warnings.isEmpty && warnings.count < 100 * tensors.count * tensors.count)
    }

    @Test("missing experts are named one by one, unless another form of them is there")
    func warnsOfMissingExperts() throws {
        let folder = try TemporaryFolder()
        let gone = "model.layers.1.block_sparse_moe.experts.3.w2.weight"
        try folder.writeTensors(FamilyExample.mixtral.filter { $0.0 != gone }.map { (name: $0, shape: $1) })
        try folder.writeConfig(FamilyExample.config("mixtral"))
        #expect(try Checkpoint(path: folder.path).warnings == [.missingTensor(gone)])
    }

    @Test("a stack of experts that is stored slice by slice is not missing")
    func findsCompressedStacks() throws {
        let folder = try TemporaryFolder()
        var tensors = FamilyExample.mixtral.filter { !$0.0.contains(".experts.") }
        var modules = JSONObject()
        for layer in 0..<2 {
            for (stack, out, inner) in [("gate_up_proj", 48, 16), ("down_proj", 16, 24)] {
                let name = "model.layers.\(layer).mlp.experts.\(stack)"
                // The first slice was no smaller as factors, the others were.
                tensors.append(("\(name).0.weight", [out, inner]))
                for expert in 1..<4 {
                    tensors.append(("\(name).\(expert).BLinear.weight", [2, inner]))
                    tensors.append(("\(name).\(expert).ALinear.weight", [out, 2]))
                    modules["\(name).\(expert)"] = ["schema": "ABLinear", "rank": 2]
                }
            }
        }
        try folder.writeTensors(tensors.map { (name: $0, shape: $1) })
        var config = FamilyExample.config("mixtral")
        config["low_rank_format_version"] = 1
        config["low_rank_base_model_type"] = "mixtral"
        config["low_rank_modules"] = .object(modules)
        try folder.writeConfig(config)
        #expect(try Checkpoint(path: folder.path).warnings.isEmpty)
    }

    @Test("a wrong total_size is a warning", arguments: [JSON(5), JSON("many"), JSON(1536.0)])
    func warnsOfTotalSize(size: JSON) throws {
        let folder = try TemporaryFolder()
        try folder.writeTensors([a, b], as: "one.safetensors")
        try folder.writeIndex([(a.name, "one.safetensors"), (b.name, "one.safetensors")], totalSize: size)
        try folder.writeConfig(["model_type": "x"])
        #expect(
            try Checkpoint(path: folder.path).warnings == [
                .totalSize(expected: 1536, found: size.int), .unknownArchitecture(modelType: "x"),
            ])
    }

    @Test("weights that cannot be computed with are carried along")
    func warnsOfQuantisedWeights() throws {
        let folder = try TemporaryFolder()
        try folder.writeTensors([a], dtype: .i8)
        let checkpoint = try Checkpoint(path: folder.path)
        #expect(checkpoint.linearModules.isEmpty)
        #expect(checkpoint.warnings.last == .unreadableWeight(tensor: a.name, dtype: .i8))
    }

    // MARK: Tied heads

    @Test("a head is tied as the configuration says and the bytes show")
    func findsTiedHeads() throws {
        let embedding = "model.embed_tokens.weight"
        let head = "lm_head.weight"
        func tie(tied: Bool?, headValue: Float?, model: String = "LlamaForCausalLM") throws -> TiedHead {
            let folder = try TemporaryFolder()
            let writer = try SafetensorsWriter(
                path: folder.path + "/model.safetensors",
                tensors: ([embedding] + (headValue == nil ? [] : [head])).map {
                    TensorDeclaration(name: $0, dtype: .f32, shape: [2, 1])
                })
            try littleEndianBytes([1, 2] as [Float]).withUnsafeBytes { try writer.append($0, to: embedding) }
            if let headValue {
                try littleEndianBytes([1, headValue]).withUnsafeBytes { try writer.append($0, to: head) }
            }
            try writer.finish()
            var config = FamilyExample.config("llama", tied: tied)
            config["architectures"] = [JSON(model)]
            try folder.writeConfig(config)
            return try Checkpoint(path: folder.path).tiedHead()
        }
        #expect(try tie(tied: nil, headValue: nil) == .untied)
        #expect(try tie(tied: false, headValue: 2) == .untied)
        #expect(try tie(tied: true, headValue: nil) == .absent(embedding: embedding))
        #expect(try tie(tied: true, headValue: nil, model: "LlamaModel") == .untied)
        #expect(try tie(tied: true, headValue: 2) == .identical(head: head, embedding: embedding))
        #expect(try tie(tied: true, headValue: 3) == .different(head: head, embedding: embedding))
    }

    // MARK: Compressed folders

    @Test("compressed modules are found with role and schema")
    func readsCompressed() throws {
        let folder = try TemporaryFolder()
        let q = "model.layers.1.self_attn.q_proj"
        let gate = "model.layers.0.mlp.gate_proj"
        let up = "model.layers.0.mlp.up_proj"
        var tensors = FamilyExample.llama.filter { ![q, gate, up].map { $0 + ".weight" }.contains($0.0) }
        tensors += [
            (q + ".BLinear.weight", [3, 16]), (q + ".ALinear.weight", [16, 3]), (q + ".ALinear.bias", [16]),
            ("lowrank.shared.0.basis", [3, 16]), (gate + ".coefficients", [24, 3]), (up + ".tt.0", [1, 4, 4, 2]),
            (up + ".tt.1", [2, 6, 4, 1]),
        ]
        try folder.writeTensors(tensors.map { (name: $0, shape: $1) })
        var config = FamilyExample.config("lowrank_llama")
        config["num_key_value_heads"] = 2
        config["low_rank_base_model_type"] = "llama"
        config["low_rank_format_version"] = 1
        config["low_rank_modules"] = [
            q: ["schema": "ABLinear", "rank": 3], gate: ["schema": "SharedBasisLinear", "rank": 3, "basis": 0],
            up: ["schema": "TTLinear"],
        ]
        try folder.writeConfig(config)
        let checkpoint = try Checkpoint(path: folder.path)
        #expect(checkpoint.isCompressed)
        #expect(checkpoint.modelType == "llama")
        #expect(checkpoint.warnings.isEmpty)
        #expect(checkpoint.compressedModules.map(\.name) == [q, gate, up])
        #expect(checkpoint.compressedModules.map(\.schema) == ["ABLinear", "SharedBasisLinear", "TTLinear"])
        #expect(checkpoint.compressedModules.map(\.role) == [.attentionQuery, .mlpGate, .mlpUp])
        #expect(checkpoint.compressedModules[0].entry["rank"]?.int == 3)
        #expect(checkpoint.compressedModules[0].layer == 1)
        let factor = try #require(checkpoint.tensor(named: q + ".ALinear.weight"))
        #expect((factor.module, factor.role, factor.layer) == (q, .attentionQuery, 1))
        #expect(checkpoint.tensor(named: q + ".ALinear.bias")?.role == .bias)
        #expect(checkpoint.tensor(named: "lowrank.shared.0.basis")?.role == .shared)
        #expect(checkpoint.linearModules.count == 14 - 3 + 1)
        #expect(!checkpoint.linearModules.contains { [q, gate, up].contains($0.name) })

        config["low_rank_format_version"] = 2
        try folder.writeConfig(config)
        #expect(error(folder) == .formatVersion(file: folder.path + "/config.json", found: "2"))
        config["low_rank_format_version"] = 1
        config["low_rank_modules"] = ["m": [:]]
        try folder.writeConfig(config)
        #expect(error(folder) == .moduleEntry(file: folder.path + "/config.json", module: "m"))
    }

    // MARK: Other files, fingerprint

    @Test("everything but weights, configuration and reports is copied")
    func listsFiles() throws {
        let folder = try TemporaryFolder()
        try folder.writeTensors([a])
        try FileManager.default.createDirectory(atPath: folder.path + "/1_Pooling", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: folder.path + "/.git", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: folder.path + "/onnx", withIntermediateDirectories: true)
        for name in [
            "config.json", "tokenizer.json", "generation_config.json", "LICENSE", "README.md", "chat_template.jinja",
            "1_Pooling/config.json", ".git/HEAD", ".gitattributes", "onnx/model.onnx", "pytorch_model.bin",
            "pytorch_model.bin.index.json", "tf_model.h5", "report.json", "report.html", "modeling_x.py",
            "training_args.bin",
        ] {
            _ = try folder.write("{}", as: name)
        }
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/vocab.json", withDestinationPath: folder.path + "/tokenizer.json")
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/loop", withDestinationPath: folder.path)
        #expect(
            try Checkpoint(path: folder.path).filesToCopy() == [
                ".gitattributes", "1_Pooling/config.json", "LICENSE", "README.md", "chat_template.jinja",
                "generation_config.json", "modeling_x.py", "tokenizer.json", "training_args.bin", "vocab.json",
            ])
    }

    @Test("a fingerprint follows the contents, not the files")
    func fingerprints() throws {
        let config = FamilyExample.config("llama")
        func fingerprint(_ build: (TemporaryFolder) throws -> Void) throws -> String {
            let folder = try TemporaryFolder()
            try build(folder)
            return try Checkpoint(path: folder.path).fingerprint()
        }
        let large = (name: "w", shape: [100, 100])
        let reference = try fingerprint {
            try $0.writeConfig(config)
            try $0.writeTensors([large])
        }
        #expect(reference.count == 64)
        let resharded = try fingerprint {
            try $0.writeConfig(config)
            try $0.writeTensors([large], as: "a.safetensors")
            try $0.writeIndex([("w", "a.safetensors")], totalSize: 40000)
        }
        #expect(resharded == reference)
        for change: (TemporaryFolder) throws -> Void in [
            {
                try $0.writeConfig(FamilyExample.config("llama", tied: true))
                try $0.writeTensors([large])
            },
            {
                try $0.writeConfig(config)
                try $0.writeTensors([(name: "v", shape: [100, 100])])
            },
            {
                try $0.writeConfig(config)
                try $0.writeTensors([(name: "w", shape: [10, 1000])])
            },
            {
                try $0.writeConfig(config)
                try $0.writeTensors([large], dtype: .i32)
            },
            {
                try $0.writeConfig(config)
                try $0.writeTensors([large, (name: "x", shape: [])])
            },
        ] {
            #expect(try fingerprint(change) != reference)
        }
    }

    @Test("names are ordered with their numbers by value")
    func ordersNaturally() {
        let names = ["a", "a.1", "a.2", "a.10", "a.10.x", "a.b", "b.02", "b.2", "b.3"]
        #expect(names.shuffled().sorted { NaturalOrder($0) < NaturalOrder($1) } == names)
    }

    // MARK: Real checkpoints

    @Test("a really trained model is read without a warning", .enabled(if: SharedData.isPresent, "needs shared/data"))
    func readsRealModel() throws {
        let checkpoint = try Checkpoint(path: SharedData.path("stories260K"))
        #expect(checkpoint.architecture?.name == "llama")
        #expect(checkpoint.warnings.isEmpty)
        #expect(checkpoint.linearModules.count == 35)
        #expect(checkpoint.linearModules.filter(\.selectedByDefault).count == 35)
        #expect(try checkpoint.tiedHead() == .absent(embedding: "model.embed_tokens.weight"))
        #expect(
            try checkpoint.filesToCopy() == [
                "special_tokens_map.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
            ])
    }
}
