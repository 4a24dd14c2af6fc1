import Foundation
import MatrixCore
import Safetensors
import TestSupport
import Testing

@testable import Checkpoints

@Suite("Architectures")
struct ArchitectureTests {
    private func checkpoint(
        _ modelType: String, _ tensors: [(String, [Int])], config: JSON? = nil
    ) throws -> (Checkpoint, TemporaryFolder) {
        let folder = try TemporaryFolder()
        try folder.writeTensors(tensors.map { (name: $0, shape: $1) })
        try folder.writeConfig(config ?? FamilyExample.config(modelType))
        return (try Checkpoint(path: folder.path), folder)
    }

    /// Names of the selected layers of block 1, after `….1.`, with role and size.
    private func selectedInBlock1(_ checkpoint: Checkpoint) -> [String] {
        checkpoint.linearModules.filter { $0.selectedByDefault && $0.layer == 1 }.map {
            let name = $0.name.split(separator: ".1.", maxSplits: 1).last ?? ""
            return "\(name) \($0.role.rawValue) \($0.outFeatures)x\($0.inFeatures)"
        }
    }

    @Test(
        "decoders in the names of Llama are read in the order of the forward pass",
        arguments: ["llama", "mistral", "qwen2"])
    func readsLlama(modelType: String) throws {
        let (checkpoint, _) = try checkpoint(modelType, FamilyExample.llama)
        #expect(checkpoint.architecture?.name == modelType)
        #expect(checkpoint.warnings.isEmpty)
        #expect(
            selectedInBlock1(checkpoint) == [
                "self_attn.q_proj attention.query 16x16", "self_attn.k_proj attention.key 8x16",
                "self_attn.v_proj attention.value 8x16", "self_attn.o_proj attention.output 16x16",
                "mlp.gate_proj mlp.gate 24x16", "mlp.up_proj mlp.up 24x16", "mlp.down_proj mlp.down 16x24",
            ])
        #expect(checkpoint.linearModules.filter { !$0.selectedByDefault }.map(\.name) == ["lm_head"])
        #expect(checkpoint.tensor(named: "model.embed_tokens.weight")?.role == .embedding)
        #expect(checkpoint.tensor(named: "model.norm.weight")?.role == .norm)
        #expect(checkpoint.tensor(named: "lm_head.weight")?.role == .head)
        #expect(
            checkpoint.linearModules.filter(\.selectedByDefault).map(\.layer) == Array(repeating: 0, count: 7)
                + Array(repeating: 1, count: 7))
    }

    @Test("experts and router of Qwen3-MoE")
    func readsQwen3MoE() throws {
        let (checkpoint, _) = try checkpoint("qwen3_moe", FamilyExample.qwen3MoE)
        #expect(checkpoint.warnings.isEmpty)
        let selected = selectedInBlock1(checkpoint)
        #expect(selected.count == 4 + 3 * 4)
        #expect(selected.contains("mlp.experts.3.down_proj expert.down 16x8"))
        let expert = try #require(checkpoint.linearModules.first { $0.name.hasSuffix("experts.3.up_proj") })
        #expect((expert.layer, expert.expert, expert.slice) == (0, 3, nil))
        let router = try #require(checkpoint.linearModules.first { $0.role == .router })
        #expect((router.name, router.selectedByDefault) == ("model.layers.0.mlp.gate", false))
        #expect(checkpoint.tensor(named: "model.layers.0.self_attn.q_norm.weight")?.role == .norm)
    }

    @Test("experts of Mixtral")
    func readsMixtral() throws {
        let (checkpoint, _) = try checkpoint("mixtral", FamilyExample.mixtral)
        #expect(checkpoint.warnings.isEmpty)
        let selected = selectedInBlock1(checkpoint)
        #expect(selected.contains("block_sparse_moe.experts.2.w1 expert.gate 24x16"))
        #expect(selected.contains("block_sparse_moe.experts.2.w2 expert.down 16x24"))
        #expect(selected.contains("block_sparse_moe.experts.2.w3 expert.up 24x16"))
        #expect(selected.count == 4 + 3 * 4)
    }

    @Test("stacks of experts are one layer a slice", arguments: ["mixtral", "qwen3_moe"])
    func readsStackedExperts(modelType: String) throws {
        let size = modelType == "mixtral" ? 24 : 8
        var tensors = (modelType == "mixtral" ? FamilyExample.mixtral : FamilyExample.qwen3MoE).filter {
            !$0.0.contains(".experts.")
        }
        for layer in 0..<2 {
            tensors.append(("model.layers.\(layer).mlp.experts.gate_up_proj", [4, 2 * size, 16]))
            tensors.append(("model.layers.\(layer).mlp.experts.down_proj", [4, 16, size]))
        }
        let (checkpoint, _) = try checkpoint(modelType, tensors)
        #expect(checkpoint.warnings.isEmpty)
        let down = try #require(checkpoint.linearModules.first { $0.name == "model.layers.1.mlp.experts.down_proj.2" })
        #expect(down.weightName == "model.layers.1.mlp.experts.down_proj")
        #expect((down.role, down.expert, down.slice, down.selectedByDefault) == (.expertDown, 2, 2, true))
        let stack = try checkpoint.bytes(of: down.weightName).array(of: Float.self)
        let weight = try checkpoint.operand(of: down)
        #expect((weight.rows, weight.columns) == (16, size))
        #expect(weight[3, 5] == Double(stack[(2 * 16 + 3) * size + 5]))
        let fused = checkpoint.linearModules.filter { $0.role == .expertFused }
        #expect(fused.count == 8)
        #expect((fused[0].outFeatures, fused[0].inFeatures) == (2 * size, 16))
    }

    @Test("GPT-NeoX has fused attention and a head of its own name")
    func readsGPTNeoX() throws {
        let (checkpoint, _) = try checkpoint("gpt_neox", FamilyExample.gptNeoX)
        #expect(checkpoint.warnings.isEmpty)
        #expect(
            selectedInBlock1(checkpoint) == [
                "attention.query_key_value attention.fused 48x16", "attention.dense attention.output 16x16",
                "mlp.dense_h_to_4h mlp.in 24x16", "mlp.dense_4h_to_h mlp.out 16x24",
            ])
        let dense = try #require(checkpoint.linearModules.first { $0.role == .attentionOutput })
        #expect(dense.biasName == "gpt_neox.layers.0.attention.dense.bias")
        #expect(checkpoint.tensor(named: "gpt_neox.layers.0.attention.dense.bias")?.role == .bias)
        #expect(checkpoint.tensor(named: "embed_out.weight")?.role == .head)
    }

    @Test("GPT-2 stores its layers (in × out), with and without prefix", arguments: ["transformer.", ""])
    func readsGPT2(prefix: String) throws {
        let tensors = FamilyExample.gpt2.map { ($0.0.replacingOccurrences(of: "transformer.", with: prefix), $0.1) }
        // Old checkpoints also hold the causal mask.
        let (checkpoint, _) = try checkpoint("gpt2", tensors + [(prefix + "h.0.attn.bias", [1, 1, 16, 16])])
        #expect(checkpoint.warnings.isEmpty)
        #expect(
            selectedInBlock1(checkpoint) == [
                "attn.c_attn attention.fused 48x16", "attn.c_proj attention.output 16x16", "mlp.c_fc mlp.in 64x16",
                "mlp.c_proj mlp.out 16x64",
            ])
        #expect(checkpoint.tensor(named: prefix + "h.0.attn.bias")?.role == .other)
        #expect(checkpoint.tensor(named: prefix + "wpe.weight")?.role == .positionEmbedding)
        let module = try #require(checkpoint.linearModules.first { $0.role == .mlpIn })
        let stored = try checkpoint.operand(of: module.weightName)
        let weight = try checkpoint.operand(of: module)
        #expect((weight.rows, weight.columns) == (64, 16))
        #expect(weight[40, 3] == stored[3, 40])
        #expect(try checkpoint.tiedHead() == .absent(embedding: prefix + "wte.weight"))
    }

    @Test("BERT, with and without prefix", arguments: ["bert.", "model.", ""])
    func readsBERT(prefix: String) throws {
        let extra: [(String, [Int])] = [
            (prefix + "pooler.dense.weight", [16, 16]), (prefix + "pooler.dense.bias", [16]),
            (prefix + "embeddings.position_ids", [1, 16]),
        ]
        let (checkpoint, _) = try checkpoint("bert", FamilyExample.bert(prefix: prefix) + extra)
        #expect(checkpoint.warnings.isEmpty)
        #expect(
            selectedInBlock1(checkpoint) == [
                "attention.self.query attention.query 16x16", "attention.self.key attention.key 16x16",
                "attention.self.value attention.value 16x16", "attention.output.dense attention.output 16x16",
                "intermediate.dense mlp.in 24x16", "output.dense mlp.out 16x24",
            ])
        #expect(checkpoint.linearModules.filter { !$0.selectedByDefault }.map(\.name) == [prefix + "pooler.dense"])
        #expect(checkpoint.tensor(named: prefix + "embeddings.position_ids")?.role == .other)
        #expect(checkpoint.tensor(named: prefix + "embeddings.LayerNorm.bias")?.role == .norm)
        #expect(checkpoint.tensor(named: prefix + "embeddings.token_type_embeddings.weight")?.role == .typeEmbedding)
    }

    @Test("a family is recognised by its tensors where there is no configuration")
    func recognisesByNames() throws {
        let folder = try TemporaryFolder()
        for (name, tensors) in [
            ("llama", FamilyExample.llama), ("gpt_neox", FamilyExample.gptNeoX), ("gpt2", FamilyExample.gpt2),
            ("bert", FamilyExample.bert(prefix: "")), ("mixtral", FamilyExample.mixtral),
            ("qwen3_moe", FamilyExample.qwen3MoE),
        ] {
            let file = try folder.writeTensors(tensors.map { (name: $0, shape: $1) }, as: name + ".safetensors")
            let checkpoint = try Checkpoint(path: file)
            #expect(checkpoint.architecture?.name == name)
            #expect(checkpoint.isFolder == false)
            #expect(checkpoint.warnings.isEmpty)
        }
    }

    @Test("an unknown model is read by names and shapes")
    func readsUnknown() throws {
        let tensors: [(String, [Int])] = [
            ("backbone.embeddings.weight", [32, 16]), ("backbone.blocks.10.mixer.in_proj.weight", [48, 16]),
            ("backbone.blocks.2.attn.q_proj.weight", [16, 16]), ("backbone.blocks.2.attn.q_proj.bias", [16]),
            ("backbone.blocks.2.norm.weight", [16]), ("backbone.blocks.2.moe.gate.weight", [4, 16]),
            ("backbone.blocks.2.moe.experts.3.w2.weight", [16, 24]), ("backbone.blocks.2.conv.weight", [16, 1, 4]),
            ("backbone.blocks.10.mlp.w2.weight", [48, 16]), ("backbone.blocks.10.feed_forward.w2.weight", [16, 48]),
            ("backbone.final.weight", [16, 16]), ("lm_head.weight", [32, 16]),
        ]
        let (checkpoint, _) = try checkpoint("unheard_of", tensors, config: ["model_type": "unheard_of"])
        #expect(checkpoint.architecture == nil)
        #expect(checkpoint.warnings == [.unknownArchitecture(modelType: "unheard_of")])
        #expect(
            checkpoint.linearModules.map { "\($0.name) \($0.role.rawValue) \($0.selectedByDefault)" } == [
                "backbone.blocks.2.attn.q_proj attention.query true", "backbone.blocks.2.moe.gate router false",
                "backbone.blocks.2.moe.experts.3.w2 expert.down true",
                "backbone.blocks.10.feed_forward.w2 mlp.down true",
                "backbone.blocks.10.mixer.in_proj linear true", "backbone.blocks.10.mlp.w2 linear true",
                "backbone.final linear false", "lm_head head false",
            ])
        #expect(checkpoint.tensor(named: "backbone.embeddings.weight")?.role == .embedding)
        #expect(checkpoint.tensor(named: "backbone.blocks.2.norm.weight")?.role == .norm)
        #expect(checkpoint.tensor(named: "backbone.blocks.2.conv.weight")?.role == .other)
        #expect(checkpoint.linearModules[0].biasName == "backbone.blocks.2.attn.q_proj.bias")
    }

    @Test("numbers in names must be plain")
    func readsNumbers() {
        #expect(NumberedName("layers.12.experts.0.w1").text == "layers.#.experts.#.w1")
        #expect(NumberedName("layers.12.experts.0.w1").numbers == [12, 0])
        for name in [
            "layers.01.w", "layers.-1.w", "layers.+1.w", "layers.1a.w", "layers..w", "layers.99999999999999999999.w",
        ] {
            #expect(NumberedName(Substring(name)).numbers.isEmpty, "\(name)")
        }
    }

    @Test(
        "real configurations give their dimensions", .enabled(if: SharedData.isPresent, "needs shared/data"),
        arguments: [
            // hidden, layers, query, keyValue, intermediate, vocabulary, experts
            ("llama-2-7b", [4096, 32, 4096, 4096, 11008, 32000, nil]),
            ("qwen3-8b", [4096, 36, 4096, 1024, 12288, 151936, nil]),
            ("pythia-410m", [1024, 24, 1024, 1024, 4096, 50304, nil]),
            ("bert-base-uncased", [768, 12, 768, 768, 3072, 30522, nil]),
            ("mixtral-8x7b", [4096, 32, 4096, 1024, 14336, 32000, 8]),
        ] as [(String, [Int?])])
    func readsRealConfigurations(name: String, expected: [Int?]) throws {
        let config = try JSON.parse(file: SharedData.path("configs/\(name).json"))
        let dimensions = ModelDimensions(config: config)
        let found = [
            dimensions.hidden, dimensions.layers, dimensions.length(of: .query), dimensions.length(of: .keyValue),
            dimensions.intermediate, dimensions.vocabulary, dimensions.experts,
        ]
        #expect(found == expected)
        let modelType = try #require(config["model_type"]?.string)
        #expect(Architecture.families.contains { $0.modelTypes.contains(modelType) })
    }
}
