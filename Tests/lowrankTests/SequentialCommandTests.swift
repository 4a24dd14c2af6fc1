import Foundation
import Safetensors
import Testing

/// Compression in sequence, as a shell sees it.
struct SequentialCommandTests {
    private let folder: ModelFolder
    private static let model = ModelFolder.fixture

    init() throws { folder = try ModelFolder() }

    private func words(_ output: String, _ more: [String] = []) -> [String] {
        [
            "compress", Self.model, "-o", folder.at(output), "--keep", "0.5", "--text", Self.model + "/calibration.txt",
            "--samples", "16", "-q",
        ] + more
    }

    private func run(_ words: [String]) throws -> ProgramRun {
        let run = try ProgramRun.of(words)
        #expect(run.code == 0, "\(run.errors)")
        return run
    }

    private func loss(_ output: String) throws -> Double {
        let found = try run(["eval", folder.at(output), "--text", Self.model + "/heldout.txt", "--json", "-q"])
        return try #require(try JSON.parse(found.output)["loss"]?.double)
    }

    @Test func layersThatKnowTheErrorsBeforeThemPredictBetter() throws {
        let stats = folder.at("stats")
        _ = try run([
            "calibrate", Self.model, "--text", Self.model + "/calibration.txt", "--samples", "16", "-o", stats, "-q",
        ])
        _ = try run(["compress", Self.model, "-o", folder.at("apart"), "--keep", "0.5", "--stats", stats, "-q"])
        _ = try run(words("sequence", ["--stats", stats, "--allocation", "uniform", "--objective", "activations"]))
        #expect(try loss("sequence") < loss("apart"))
        _ = try run(["verify", folder.at("sequence"), "--against", Self.model, "-q"])

        let apart = try #require(try folder.report(of: "apart")["tensors"]?.array)
        let sequence = try #require(try folder.report(of: "sequence")["tensors"]?.array)
        #expect(try folder.report(of: "sequence")["options"]?["sequential"]?.string == "true")
        for (left, right) in zip(apart, sequence) {
            let (isolated, given) = (left["activation_error"]?.double ?? -1, right["activation_error"]?.double ?? -1)
            let found = try #require(right["sequential_error"]?.double)
            if left["layer"]?.int == 0, left["role"]?.string?.hasPrefix("attention.") == true,
                left["role"]?.string != "attention.output"
            {
                // Before any error there is nothing to make up for.
                #expect(abs(isolated - given) < 1e-3)
                #expect(abs(found - given) < 1e-3)
            } else {
                #expect(isolated < given)
            }
        }
    }

    @Test func everyMethodCanBeCompressedInSequence() throws {
        for method in ["svd", "mixt"] {
            _ = try run(words(method, ["--method", method, "--layers", "0-1"]))
            let tensors = try #require(try folder.report(of: method)["tensors"]?.array)
            #expect(tensors.contains { $0["sequential_error"]?.double != nil })
        }
    }

    @Test func threadsAndKillsLeaveTheBytesAsTheyAre() throws {
        let start = ContinuousClock.now
        _ = try run(words("whole", ["--threads", "1"]))
        let seconds = start.duration(to: .now) / Duration.seconds(1)
        let expected = try folder.content(of: "whole")
        _ = try run(words("threads", ["--threads", "3"]))
        #expect(try folder.content(of: "threads") == expected)
        for step in 0..<3 {
            let output = "killed\(step)"
            let process = try ProgramRun.start(words(output, ["--threads", "1"]))
            Thread.sleep(forTimeInterval: (Double(step) + 1.5) / 5 * seconds)
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            if !FileManager.default.fileExists(atPath: folder.at(output)) {
                _ = try run(words(output, ["--threads", "1", "--resume"]))
            }
            #expect(try folder.content(of: output) == expected)
        }
    }

    @Test func whatCannotBeDoneInSequenceIsRefused() throws {
        let cases: [([String], Int32, String)] = [
            (["compress", Self.model, "-o", folder.at("x"), "--keep", "0.5", "--sequential"], 2, "needs --text"),
            (words("x", ["--objective", "weights", "--sequential"]), 2, "does not go with --sequential"),
            (words("x", ["--include", "lm_head"]), 2, "lm_head is in no layer"),
            (words("x", ["--context", "1000"]), 2, "the model allows 256"),
        ]
        for (words, code, message) in cases {
            let run = try ProgramRun.of(words)
            #expect(run.code == code, "\(words): \(run.errors)")
            #expect(run.errors.contains(message), "\(words): \(run.errors)")
        }
    }

    /// Statistics and text together are the best recipe: gradients weigh outputs and divide the target.
    @Test func statisticsAndTextAreABetterRecipeThanEither() throws {
        let stats = folder.at("stats"), plain = folder.at("plain")
        let calibrate = ["calibrate", Self.model, "--text", Self.model + "/calibration.txt", "--samples", "16", "-q"]
        _ = try run(calibrate + ["-o", stats])
        _ = try run(calibrate + ["-o", plain, "--gradients", "never"])
        _ = try run(words("recipe", ["--stats", stats]))
        let options = try folder.report(of: "recipe")["options"]
        #expect(options?["objective"]?.string == "kfac")
        #expect(options?["allocation"]?.string == "greedy")
        #expect(options?["sequential"]?.string == "true")
        _ = try run(words("without", ["--stats", plain]))
        #expect(try folder.report(of: "without")["options"]?["objective"]?.string == "activations")
        _ = try run(words("even", ["--stats", stats, "--allocation", "uniform"]))
        _ = try run(words("onesided", ["--stats", stats, "--allocation", "uniform", "--objective", "activations"]))
        let best = try loss("recipe"), even = try loss("even")
        #expect(try best < even && even < loss("onesided") && best < loss("without"))
        _ = try run(["verify", folder.at("recipe"), "--against", Self.model, "-q"])
        for method in ["tucker", "saten"] {
            _ = try run(words(method, ["--method", method, "--stats", stats, "--layers", "1"]))
            #expect(try folder.report(of: method)["options"]?["objective"]?.string == "kfac")
        }
        let missing = try ProgramRun.of(words("x", ["--stats", plain, "--objective", "kfac"]))
        #expect(missing.code == 3)
        #expect(missing.errors.contains("calibrate with --gradients always"), "\(missing.errors)")
        let head = try ProgramRun.of(words("x", ["--stats", stats, "--include", "lm_head"]))
        #expect(head.code == 3 && head.errors.contains("for layers inside of blocks"), "\(head.errors)")
        let unused = try ProgramRun.of(words("x", ["--objective", "asvd", "--stats", stats, "--allocation", "loss"]))
        #expect(unused.code == 2 && unused.errors.contains("does not use --text"), "\(unused.errors)")
    }
}
