import Foundation
import Safetensors
import Testing

/// A basis that layers share, as a shell sees it.
struct SharedBasisCommandTests {
    private let folder: ModelFolder
    private static let model = ModelFolder.fixture

    init() throws { folder = try ModelFolder() }

    @discardableResult
    private func run(_ words: [String], _ code: Int32 = 0) throws -> ProgramRun {
        let run = try ProgramRun.of(words)
        #expect(run.code == code, "\(words): \(run.errors)")
        return run
    }

    private func compress(_ output: String, _ more: [String]) throws {
        try run(["compress", Self.model, "-o", folder.at(output), "-q"] + more)
        try run(["verify", folder.at(output), "--against", Self.model, "-q"])
    }

    @Test(arguments: [
        ["--share-layers", "2"], ["--share-layers", "3", "--storage", "pivot", "--share-projections", "all"],
    ])
    func theBasisIsStoredAndCountedOnce(options: [String]) throws {
        try compress("out", ["--keep", "0.5"] + options)
        let config = try JSON.parse(file: folder.at("out") + "/config.json")
        let file = try SafetensorsFile(path: folder.at("out/model.safetensors"))
        let shared = (config["low_rank_modules"]?.object?.entries ?? []).filter {
            $0.value["schema"]?.string == "SharedBasisLinear"
        }
        let bases = Set(shared.compactMap { $0.value["basis"]?.string })
        #expect(!bases.isEmpty && bases.count < shared.count)
        let stored = Set(file.tensors.map(\.name).filter { $0.hasSuffix(".basis") })
        #expect(stored == Set(bases.map { "lowrank.shared.\($0).basis" }))
        let numbers = file.tensors.filter { $0.dtype.elementType != nil }.reduce(0) { $0 + $1.elementCount }
        let totals = try folder.report(of: "out")["totals"]
        #expect(totals?["parameters"]?.int == numbers)
        #expect(try #require(totals?["keep_compressed"]?.double) <= 0.5)
        if options.contains("all") { return }
        // Output and down projections keep factors of their own.
        #expect(!shared.contains { $0.key.hasSuffix("o_proj") || $0.key.hasSuffix("down_proj") })
    }

    @Test func aPlanStatesTheRanksOfGroups() throws {
        let plan = folder.at("plan.json")
        let options = ["--keep", "0.5", "--share-layers", "2"]
        try run(["plan", Self.model, "-o", plan, "-q"] + options)
        try compress("planned", ["--plan", plan])
        try compress("direct", options)
        let left = try folder.content(of: "planned"), right = try folder.content(of: "direct")
        #expect(left["model.safetensors"] == right["model.safetensors"])
    }

    @Test func oneLayerIsThePlainMethod() throws {
        try compress("one", ["--keep", "0.5", "--share-layers", "1"])
        try compress("plain", ["--keep", "0.5"])
        #expect(try folder.content(of: "one") == folder.content(of: "plain"))
    }

    @Test func itRunsAsItsReconstructionDoes() throws {
        try compress("out", ["--keep", "0.5", "--share-layers", "2", "--storage", "pivot", "--factor-dtype", "f32"])
        try run(["reconstruct", folder.at("out"), "-o", folder.at("dense"), "--dtype", "f32", "-q"])
        func loss(_ model: String) throws -> Double {
            let found = try run([
                "eval", folder.at(model), "--text", Self.model + "/heldout.txt", "--samples", "4", "--json", "-q",
            ])
            return try #require(try JSON.parse(found.output)["loss"]?.double)
        }
        #expect(abs(try loss("out") - loss("dense")) < 1e-4)
    }

    /// In sequence the basis is made for the statistics, and every layer's coefficients for what it then reads.
    @Test func coefficientsFollowTheCompressedNetwork() throws {
        let stats = folder.at("stats"), text = ["--text", Self.model + "/calibration.txt", "--samples", "16"]
        try run(["calibrate", Self.model, "-o", stats, "-q"] + text)
        let options = ["--keep", "0.5", "--share-layers", "2", "--stats", stats]
        try compress("apart", options)
        try compress("sequence", options + text + ["--threads", "1"])
        try compress("threads", options + text + ["--threads", "3"])
        #expect(try folder.content(of: "sequence") == folder.content(of: "threads"))
        let lines = try #require(try folder.report(of: "sequence")["tensors"]?.array)
        #expect(lines.allSatisfy { $0["sequential_error"]?.double != nil })
        func loss(_ model: String) throws -> Double {
            let found = try run(["eval", folder.at(model), "--text", Self.model + "/heldout.txt", "--json", "-q"])
            return try #require(try JSON.parse(found.output)["loss"]?.double)
        }
        #expect(try loss("sequence") < loss("apart"))
        // Without statistics of the later layers there is nothing to make a basis for.
        let refused = try run(
            ["compress", Self.model, "-o", folder.at("x"), "--keep", "0.5", "--share-layers", "2", "-q"] + text, 2)
        #expect(refused.errors.contains("give --stats too"), "\(refused.errors)")
    }

    /// Killed while a group waits for its later layers, a run makes it again and ends with the same bytes.
    @Test func killsLeaveTheBytesAsTheyAre() throws {
        let stats = folder.at("stats"), text = ["--text", Self.model + "/calibration.txt", "--samples", "16"]
        try run(["calibrate", Self.model, "-o", stats, "-q"] + text)
        func words(_ output: String) -> [String] {
            [
                "compress", Self.model, "-o", folder.at(output), "--keep", "0.5", "--share-layers", "3", "--stats",
                stats, "-q", "--threads", "1",
            ] + text
        }
        let start = ContinuousClock.now
        try run(words("whole"))
        let seconds = start.duration(to: .now) / Duration.seconds(1)
        for step in 0..<3 {
            let output = "killed\(step)"
            let process = try ProgramRun.start(words(output))
            Thread.sleep(forTimeInterval: (Double(step) + 1.5) / 5 * seconds)
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            if !FileManager.default.fileExists(atPath: folder.at(output)) { try run(words(output) + ["--resume"]) }
            #expect(try folder.content(of: output) == folder.content(of: "whole"))
        }
    }

    @Test func whatCannotBeSharedIsRefused() throws {
        let cases: [([String], String)] = [
            (["--method", "tt", "--svd-group", "layers"], "belongs to --method svd"),
            (["--svd-group", "experts"], "no selected layer is an expert"),
            (["--share-layers", "x"], "is no whole number"),
        ]
        for (options, message) in cases {
            let run = try run(["compress", Self.model, "-o", folder.at("x"), "--keep", "0.5", "-q"] + options, 2)
            #expect(run.errors.contains(message), "\(run.errors)")
        }
    }
}
