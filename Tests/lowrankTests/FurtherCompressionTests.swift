import Foundation
import Safetensors
import Testing

/// A folder that is compressed already, compressed further.
struct FurtherCompressionTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    private func run(_ words: String...) throws -> ProgramRun {
        let run = try ProgramRun.of(words)
        #expect(run.code == 0, "\(words): \(run.errors)")
        return run
    }

    private func perplexity(_ name: String) throws -> Double {
        let run = try run("eval", folder.at(name), "--text", ModelFolder.fixture + "/heldout.txt", "--json", "-q")
        return try JSON.parse(run.output)["perplexity"]?.double ?? 0
    }

    private func errors(_ name: String) throws -> [String: Double] {
        var errors: [String: Double] = [:]
        for tensor in try folder.report(of: name)["tensors"]?.array ?? [] {
            errors[tensor["name"]?.string ?? ""] = tensor["relative_error"]?.double
        }
        return errors
    }

    /// Truncating twice keeps the leading components, so it is truncating once, up to the rounding of the first
    /// factors.
    @Test(arguments: ["factors", "pivot"])
    func truncatingTwiceIsTruncatingOnce(storage: String) throws {
        _ = try run(
            "compress", ModelFolder.fixture, "-o", folder.at("once"), "--keep", "0.4", "--factor-dtype", "f32", "-q")
        _ = try run(
            "compress", ModelFolder.fixture, "-o", folder.at("first"), "--keep", "0.8", "--factor-dtype", "f32",
            "--storage", storage, "-q")
        _ = try run(
            "compress", folder.at("first"), "-o", folder.at("twice"), "--keep", "0.4", "--storage", "factors",
            "--factor-dtype", "f32", "-q")
        let once = try perplexity("once"), twice = try perplexity("twice")
        #expect(abs(once - twice) < 1e-4 * once)
        let reports = try ["once", "twice"].map { try folder.report(of: $0)["totals"] }
        for key in [
            "parameters", "keep_compressed", "keep_model", "dense_parameters", "macs", "dense_macs", "dense_bytes",
        ] {
            #expect(reports[0]?[key] == reports[1]?[key], "\(key)")
        }
        #expect(try folder.report(of: "twice")["source"]?["compressed"]?.bool == true)
        let verified = try run("verify", folder.at("twice"), "--against", folder.at("first"))
        #expect(verified.output.contains("all as reported"))
        let dense = try run("reconstruct", folder.at("twice"), "-o", folder.at("dense"), "--dtype", "f32", "-q")
        #expect(dense.errors.isEmpty)
        #expect(abs(try perplexity("dense") - twice) < 1e-4 * twice)
        let config = try JSON.parse(file: folder.at("twice") + "/config.json")
        #expect(
            config["low_rank_base_model_type"]?.string == "llama" && config["model_type"]?.string == "lowrank_llama")
        #expect(config["low_rank_schema"]?.string == "ABLinear")
    }

    /// What has fewer numbers already stays, byte for byte; so does what is not selected.
    @Test func whatIsSmallerAlreadyStays() throws {
        _ = try run(
            "compress", ModelFolder.fixture, "-o", folder.at("small"), "--keep", "0.4", "--exclude", "q_proj", "-q")
        let again = try run(
            "compress", folder.at("small"), "-o", folder.at("again"), "--keep", "0.6", "--layers", "0-3")
        #expect(again.output.contains("kept as it was"))
        #expect(
            try run("verify", folder.at("again"), "--against", folder.at("small")).output.contains("all as reported"))
        let source = try SafetensorsFile(path: folder.at("small/model.safetensors"))
        let found = try SafetensorsFile(path: folder.at("again/model.safetensors"))
        for tensor in source.tensors where !tensor.name.contains("q_proj") || tensor.name.contains("layers.4") {
            #expect(
                try found.bytes(of: tensor.name).array(of: UInt8.self)
                    == source.bytes(of: tensor.name).array(of: UInt8.self), "\(tensor.name)")
        }
        let errors = try errors("again")
        #expect(
            errors.filter { $0.value > 0 }.keys.sorted() == (0..<4).map { "model.layers.\($0).self_attn.q_proj.weight" }
        )
        let totals = try #require(try folder.report(of: "again")["totals"])
        #expect((totals["keep_compressed"]?.double ?? 1) <= 0.6)
    }

    /// The size is promised before the run and kept, whatever the source is stored as.
    @Test func sizesOfTheWholeOutputAreKept() throws {
        _ = try run("compress", ModelFolder.fixture, "-o", folder.at("small"), "--keep", "0.8", "-q")
        let plan = try JSON.parse(
            try run(
                "compress", folder.at("small"), "-o", folder.at("out"), "--target-params", "600000", "--dry-run",
                "--json"
            )
            .output)
        _ = try run("compress", folder.at("small"), "-o", folder.at("out"), "--target-params", "600000", "-q")
        let totals = try #require(try folder.report(of: "out")["totals"])
        #expect(totals["parameters"] == plan["totals"]?["parameters"])
        #expect((595_000...600_000).contains(totals["parameters"]?.int ?? 0))
        let size = try SafetensorsFile(path: folder.at("out/model.safetensors")).byteCount
        #expect(size == plan["totals"]?["file_bytes"]?.int)
        let inspected = try run("inspect", folder.at("out"))
        #expect(inspected.errors.isEmpty && inspected.output.contains("35 linear layers in blocks"))
        #expect(inspected.output.contains("35 of them factors"))
    }

    @Test func aFactorThatIsNotFiniteIsNamed() throws {
        _ = try run("compress", ModelFolder.fixture, "-o", folder.at("small"), "--keep", "0.8", "-q")
        let path = folder.at("small/model.safetensors"), name = "model.layers.1.mlp.up_proj.ALinear.weight"
        let start = try #require(try SafetensorsFile(path: path).tensor(named: name)).byteRange.lowerBound
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        (bytes[start + 2], bytes[start + 3]) = (0xC0, 0x7F)
        try bytes.write(to: URL(fileURLWithPath: path))
        let run = try ProgramRun.of(["compress", folder.at("small"), "-o", folder.at("out"), "--keep", "0.4", "-q"])
        #expect(run.code == 3 && run.errors.contains(name) && run.errors.contains("row 0, column 1"), "\(run.errors)")
    }
}
