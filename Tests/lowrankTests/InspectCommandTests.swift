import Foundation
import Safetensors
import Testing

/// `lowrank inspect` as a shell sees it, on the small models beside the code.
struct InspectCommandTests {
    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures").path

    private func inspect(_ words: String...) throws -> ProgramRun { try ProgramRun.of(["inspect"] + words) }

    @Test func showsAModel() throws {
        let text = """
            architecture  gpt2
            parameters    134,064
            size          268 KB in 40 tensors, 1 file
            dtypes        F16 (268 KB)
            dimensions    layers 3, hidden 48, MLP 192, heads 4
            head          tied to the embedding
            selected      12 linear layers in blocks, 82,944 parameters (61.9 %)

            role                tensors  parameters   share     size
            attention.output          3       6,912   5.2 %  13.8 KB
            attention.fused           3      20,736  15.5 %  41.5 KB
            mlp.in                    3      27,648  20.6 %  55.3 KB
            mlp.out                   3      27,648  20.6 %  55.3 KB
            embedding                 1      36,864  27.5 %  73.7 KB
            embedding.position        1      12,288   9.2 %  24.6 KB
            norm                     14         672   0.5 %  1.34 KB
            bias                     12       1,296   1.0 %  2.59 KB

            """
        #expect(try inspect(Self.fixtures + "/tiny-gpt2") == ProgramRun(code: 0, output: text, errors: ""))
    }

    @Test func listsTensorsAndSpectra() throws {
        let run = try inspect(Self.fixtures + "/tiny-llama", "--tensors", "--spectrum", "--quiet")
        #expect(run.code == 0)
        #expect(run.errors.isEmpty)
        let lines = run.output.split(separator: "\n").map(String.init)
        #expect(lines.contains("model.layers.4.self_attn.v_proj.weight          BF16    32×128  attention.value"))
        #expect(lines.contains { $0.hasPrefix("model.layers.4.mlp.down_proj      128 ") })
        #expect(lines.allSatisfy { $0.count <= 80 })
        let read = try inspect(Self.fixtures + "/tiny-llama", "--tensors", "--spectrum", "--quiet", "--no-mmap")
        #expect(read == run)
    }

    @Test func isOneDocumentWithJSON() throws {
        let run = try inspect(Self.fixtures + "/tiny-llama", "--json")
        let json = try JSON.parse(run.output)
        #expect(json["architecture"] == "llama")
        #expect(json["parameters"] == 1_078_656)
        #expect(json["tensors"]?.array?.count == 48)
        #expect(json["warnings"] == [])
    }

    @Test func badInputEndsWithThree() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("inspect-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let none = "lowrank: error: \(folder): no safetensors file; other weight formats must be converted first\n"
        #expect(try inspect(folder) == ProgramRun(code: 3, output: "", errors: none))

        let file = folder + "/model.safetensors"
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: file))
        let run = try inspect(folder, "--json")
        #expect(run.code == 3)
        let error = try JSON.parse(run.output)["error"]
        #expect(error?["file"]?.string == file)
        #expect(error?["message"]?.string == "\(file): the file has 3 bytes, fewer than the 8 of a header length")
        #expect(try inspect(folder + "/none").code == 3)
    }
}
