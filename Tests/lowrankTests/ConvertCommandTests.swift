import Checkpoints
import Foundation
import Safetensors
import Testing

@Suite("convert")
struct ConvertCommandTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    private func run(_ words: [String]) throws -> JSON {
        let run = try ProgramRun.of(words + ["--json", "--quiet"])
        try #require(run.code == 0, "\(run.errors)")
        return try JSON.parse(run.output)
    }

    private func compress(_ words: [String], as name: String) throws {
        _ = try run(["compress", ModelFolder.fixture, "-o", folder.at(name)] + words)
    }

    @Test("pivots become factors of the same bits, and pivots again")
    func pivotsAndBack() throws {
        try compress(["--keep", "0.5", "--storage", "pivot", "--factor-dtype", "f32"], as: "pivot")
        let there = try run(["convert", folder.at("pivot"), "-o", folder.at("factors"), "--storage", "factors"])
        #expect(try #require(there["largest_change"]?.double) < 1e-6)
        _ = try run(["convert", folder.at("factors"), "-o", folder.at("again"), "--storage", "pivot"])
        let before = try folder.content(of: "pivot")
        let after = try folder.content(of: "again")
        #expect(before["model.safetensors"] == after["model.safetensors"])
        #expect(
            try JSON.parse(file: folder.at("pivot/config.json")) == JSON.parse(file: folder.at("again/config.json")))
        #expect(
            try folder.report(of: "pivot")["totals"]?["parameters"]
                == folder.report(of: "again")["totals"]?["parameters"])
    }

    @Test(
        "factors become pivots that hold fewer numbers and the same matrices to rounding", arguments: ["f32", "bf16"])
    func factorsToPivots(type: String) throws {
        try compress(["--keep", "0.6", "--factor-dtype", type], as: "factors")
        let result = try run([
            "convert", folder.at("factors"), "-o", folder.at("pivot"), "--storage", "pivot", "--against",
            ModelFolder.fixture,
        ])
        #expect(result["converted"]?.int == 35)
        // 2⁻⁹ is the rounding of bfloat16; factors and pivots each have it once or twice.
        #expect(try #require(result["largest_change"]?.double) < (type == "f32" ? 1e-5 : 4 / 512))
        let before = try folder.report(of: "factors")
        let after = try folder.report(of: "pivot")
        #expect(try #require(after["totals"]?["parameters"]?.int) < (before["totals"]?["parameters"]?.int ?? 0))
        let checkpoint = try Checkpoint(path: folder.at("pivot"))
        #expect(after["totals"]?["bytes"]?.int == checkpoint.byteCount)
        #expect(after["totals"]?["parameters"]?.int == checkpoint.parameterCount - checkpoint.factorPositionCount)
        #expect(try ProgramRun.of(["verify", folder.at("pivot"), "--against", ModelFolder.fixture]).code == 0)
    }

    @Test("a Tucker form becomes factors of its rank; tensor trains alone are refused")
    func otherMethods() throws {
        try compress(["--method", "tucker", "--keep", "0.5", "--factor-dtype", "f32"], as: "tucker")
        let result = try run(["convert", folder.at("tucker"), "-o", folder.at("factors"), "--storage", "factors"])
        #expect(try #require(result["converted"]?.int) > 30)
        #expect(try #require(result["largest_change"]?.double) < 2e-5)
        let checkpoint = try Checkpoint(path: folder.at("factors"))
        #expect(checkpoint.compressedModules.filter { $0.schema == "ABLinear" }.count == result["converted"]?.int)

        try compress(["--method", "tt", "--keep", "0.5"], as: "tt")
        let train = try ProgramRun.of(["convert", folder.at("tt"), "-o", folder.at("kept"), "--storage", "factors"])
        #expect(train.code == 3, "\(train.errors)")
        #expect(train.errors.contains("none of its 35 compressed matrices (TTLinear)"), "\(train.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.at("kept")))
    }

    @Test("beside converted matrices those of other forms are copied, and counted")
    func mixedMethods() throws {
        let plan = ["plan", ModelFolder.fixture, "--keep", "0.5", "-o", folder.at("plan.json")]
        _ = try run(plan)
        var json = try JSON.parse(file: folder.at("plan.json"))
        let name = "model.layers.0.mlp.up_proj"
        json["modules"]?[name] = ["method": "tt", "keep": 0.5]
        try json.text(pretty: true).write(toFile: folder.at("plan.json"), atomically: true, encoding: .utf8)
        try compress(["--plan", folder.at("plan.json")], as: "mixed")
        let words = ["convert", folder.at("mixed"), "-o", folder.at("pivot"), "--storage", "pivot"]
        let text = try ProgramRun.of(words)
        #expect(
            text.output.hasPrefix("34 matrices converted, 1 are no product of two thin ones (TTLinear) and stay"),
            "\(text.output)\(text.errors)")
        let entries = try JSON.parse(file: folder.at("pivot/config.json"))["low_rank_modules"]
        #expect(entries?[name]?["schema"]?.string == "TTLinear")
    }

    @Test("a folder that is not compressed is refused")
    func refusesDense() throws {
        let run = try ProgramRun.of(["convert", ModelFolder.fixture, "-o", folder.at("a"), "--storage", "pivot"])
        #expect(run.code == 3 && run.errors.contains("not a compressed folder"))
    }
}
