import Testing

@testable import Jobs

/// How experts are named, from the names of the tensors in a file.
struct ExpertNamesTests {
    @Test(arguments: [
        ("model.layers.0.block_sparse_moe.experts.0.w1.weight", "block_sparse_moe", ["w1", "w3", "w2"]),
        ("model.layers.0.block_sparse_moe.experts.11.w2.BLinear.weight", "block_sparse_moe", ["w1", "w3", "w2"]),
        ("layers.3.mlp.experts.0.gate_proj.weight", "mlp", ["gate_proj", "up_proj", "down_proj"]),
        ("model.layers.0.mlp.experts.gate_up_proj", "mlp", ["gate_up_proj", "down_proj"]),
        ("model.layers.0.mlp.experts.down_proj.5.tt.0", "mlp", ["gate_up_proj", "down_proj"]),
        (
            "lowrank.tucker.model.layers.0.block_sparse_moe.experts.0.w1.core", "block_sparse_moe",
            ["w1", "w3", "w2"]
        ),
    ])
    func tellBlockAndLayers(tensor: String, block: String, layers: [String]) throws {
        let names = try #require(ExpertNames(tensors: ["model.norm.weight", tensor]))
        #expect(names.block == block && names.layers == layers)
        let code = LoaderCode.text(for: try #require(LoaderFamily.named("mixtral")), experts: names, head: nil)
        #expect(code.contains(#"EXPERTS = {"block": "\#(block)", "layers": ["\#(layers[0])""#))
    }

    @Test func areAbsentWithoutExperts() {
        #expect(ExpertNames(tensors: ["model.layers.0.mlp.gate_proj.weight", "experts.weight", "mlp.experts"]) == nil)
    }
}
