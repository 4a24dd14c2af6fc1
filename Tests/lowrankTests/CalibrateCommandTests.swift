import Foundation
import Safetensors
import Testing

/// What a shell sees of `calibrate` and `stats`.
struct CalibrateCommandTests {
    private let folder: ModelFolder
    private let text = ModelFolder.fixture + "/calibration.txt"

    init() throws { folder = try ModelFolder() }

    private func words(_ output: String, _ more: [String] = []) -> [String] {
        ["calibrate", ModelFolder.fixture, "--text", text, "-o", folder.at(output)] + more
    }

    private func content(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: folder.at(name))) }

    @Test func aCalibrationIsShownAndMerged() throws {
        let made = try ProgramRun.of(words("a", ["--samples", "3", "--json"]))
        #expect(made.code == 0, "\(made.errors)")
        let report = try JSON.parse(made.output)
        #expect(report["tokens"]?.int == 768 && report["windows"]?.int == 3 && report["context"]?.int == 256)
        #expect(report["inputs"]?.int == 21)
        #expect(try ProgramRun.of(words("b", ["--samples", "2", "--context", "100", "--precision", "f32"])).code == 0)

        let shown = try ProgramRun.of(["stats", "show", folder.at("a"), "--json"])
        let inputs = try #require(try JSON.parse(shown.output)["inputs"]?.array)
        #expect(inputs.count == 21)
        #expect(inputs[0]["modules"]?.array?.count == 3)
        #expect(inputs.allSatisfy { $0["tokens"]?.int == 768 && $0["condition"] != nil })
        let table = try ProgramRun.of(["stats", "show", folder.at("a")])
        #expect(table.output.contains("model.layers.4.mlp.down_proj"))

        let merged = try ProgramRun.of([
            "stats", "merge", folder.at("a"), folder.at("b"), "-o", folder.at("c"), "--json",
        ])
        #expect(merged.code == 0, "\(merged.errors)")
        #expect(try JSON.parse(merged.output)["runs"]?.array?.count == 2)
        let twice = try ProgramRun.of(["stats", "merge", folder.at("a"), folder.at("a"), "-o", folder.at("d")])
        #expect(twice.code == 0 && twice.errors.contains("more than once"))
    }

    @Test func fewTokensAreWarnedOf() throws {
        let run = try ProgramRun.of(words("a", ["--samples", "1", "--context", "50"]))
        #expect(run.code == 0)
        #expect(run.errors.contains("rank at most 50 of 352"))
        let shown = try ProgramRun.of(["stats", "show", folder.at("a")])
        #expect(shown.output.contains("singular"))
    }

    @Test func wrongRequestsAndInputsEndWithTheirCodes() throws {
        #expect(try ProgramRun.of(words("a", ["--samples", "1"])).code == 0)
        let notes = folder.at("notes.txt")
        try Data("no statistics".utf8).write(to: URL(fileURLWithPath: notes))
        let weights = ModelFolder.fixture + "/model.safetensors"
        let cases: [([String], Int32, String)] = [
            (["calibrate", ModelFolder.fixture, "-o", folder.at("x")], 2, "give --text or --tokens"),
            (words("a"), 2, "--force"), (words("x", ["--memory", "1KB"]), 2, "--memory"),
            (words("x", ["--precision", "f16"]), 2, "f32 or f64"), (words("x", ["--context", "257"]), 2, "256"),
            (["calibrate", ModelFolder.fixture, "--text", folder.at("none"), "-o", folder.at("x")], 3, "none"),
            (["calibrate", folder.at("none"), "--text", text, "-o", folder.at("x")], 3, "none"),
            (words("notes.txt", ["--append"]), 3, "notes.txt"),
            (["stats", "show", notes], 3, "notes.txt"),
            (["stats", "show", weights], 3, "no file of activation statistics"),
            (["stats", "merge", folder.at("a"), "-o", folder.at("x")], 2, "two statistics files"),
            (["stats", "merge", folder.at("a"), weights, "-o", folder.at("x")], 3, "model.safetensors"),
            (["stats", "merge", folder.at("a"), folder.at("a"), "-o", folder.at("a"), "--force"], 2, "is the input"),
        ]
        for (words, code, message) in cases {
            let run = try ProgramRun.of(words)
            #expect(run.code == code, "\(words): \(run.errors)")
            #expect(run.errors.contains(message), "\(words): \(run.errors)")
            #expect(run.output.isEmpty)
        }
    }

    @Test func killedRunsContinueToTheSameBytes() throws {
        let start = ContinuousClock.now
        #expect(try ProgramRun.of(words("whole", ["--samples", "12"])).code == 0)
        let seconds = start.duration(to: .now) / Duration.seconds(1)
        for step in 0..<5 {
            let output = "killed\(step)"
            let run = try ProgramRun.start(words(output, ["--samples", "12"]))
            Thread.sleep(forTimeInterval: Double(step + 1) / 6 * seconds)
            kill(run.processIdentifier, SIGKILL)
            run.waitUntilExit()
            if !FileManager.default.fileExists(atPath: folder.at(output)) {
                let resumed = try ProgramRun.of(words(output, ["--samples", "12", "--resume"]))
                #expect(resumed.code == 0, "\(resumed.errors)")
                #expect(try folder.names.allSatisfy { !$0.hasPrefix(".\(output).") })
            }
            #expect(try content(output) == content("whole"))
        }
    }

    /// The way back is in the file unless it is not wanted or its sums do not fit; halves add up to the whole.
    @Test func gradientsAreCollectedWhereTheyFit() throws {
        func gradients(_ name: String) throws -> [JSON] {
            let shown = try ProgramRun.of(["stats", "show", folder.at(name), "--json"])
            return try #require(try JSON.parse(shown.output)["gradients"]?.array)
        }
        #expect(try ProgramRun.of(words("auto", ["--samples", "2"])).code == 0)
        let found = try gradients("auto")
        #expect(found.count == 35 && found.allSatisfy { $0["tokens"]?.int == 512 })
        #expect(found.allSatisfy { ($0["root_mean_square"]?.double ?? 0) > 0 })
        #expect(try ProgramRun.of(words("never", ["--samples", "2", "--gradients", "never"])).code == 0)
        #expect(try gradients("never").isEmpty)

        let small = ["--samples", "2", "--memory", "1.2MB"]
        let little = try ProgramRun.of(words("little", small))
        #expect(little.code == 0 && little.errors.contains("--gradients always"), "\(little.errors)")
        #expect(try gradients("little").isEmpty)
        #expect(try ProgramRun.of(words("passes", small + ["--gradients", "always"])).code == 0)
        #expect(try content("passes") == content("auto"))
        let append = try ProgramRun.of(words("never", ["--append", "--gradients", "always"]))
        #expect(append.code == 2 && append.errors.contains("has no gradients"), "\(append.errors)")
    }
}
