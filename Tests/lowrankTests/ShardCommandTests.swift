import Foundation
import Safetensors
import Testing

/// One compression in several parts, as a batch script divides and joins it.
struct ShardCommandTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    private func compress(_ options: String, to output: String) throws -> ProgramRun {
        let words = options.split(separator: " ").map(String.init)
        return try ProgramRun.of(["compress", ModelFolder.fixture, "-o", folder.at(output), "-q"] + words)
    }

    private func merge(_ parts: [String], to output: String = "out", _ more: [String] = []) throws -> ProgramRun {
        try ProgramRun.of(["merge"] + parts.map { folder.at($0) } + ["-o", folder.at(output), "-q"] + more)
    }

    /// Parts are made with other numbers of threads and joined in any order; a seventh of a few groups may be empty.
    @Test(arguments: [
        ("--keep 0.6", 2), ("--keep 0.5 --storage pivot --max-shard-size 300KB", 3), ("--target-size 1.5MB", 7),
        ("--method tucker --tucker-group layers --share-layers 5 --keep 0.5", 50), ("--energy 0.9 --layers 1-2", 1),
    ])
    func partsJoinIntoTheBytesOfOneRun(options: String, count: Int) throws {
        #expect(try compress(options, to: "whole").code == 0)
        for index in 1...count {
            let run = try compress("\(options) --shard \(index)/\(count) --threads \(index % 2 + 1)", to: "p\(index)")
            #expect(run.code == 0, "\(run.errors)")
        }
        let merged = try merge((1...count).reversed().map { "p\($0)" })
        #expect(merged.code == 0, "\(merged.errors)")
        #expect(try folder.content(of: "out") == folder.content(of: "whole"))
        #expect(try comparable("out") == comparable("whole"))
        let verified = try ProgramRun.of(["verify", folder.at("out"), "--against", ModelFolder.fixture, "-q"])
        #expect(verified.code == 0)
    }

    /// A report without what two runs may differ in.
    private func comparable(_ name: String) throws -> JSON {
        var report = try folder.report(of: name)
        report["command"] = nil
        report["program"]?["threads"] = nil
        report["stages"] = nil
        for key in ["seconds", "peak_rss_bytes"] { report["totals"]?[key] = nil }
        report["tensors"] = .array(
            (report["tensors"]?.array ?? []).map { tensor in
                var tensor = tensor
                tensor["seconds"] = nil
                tensor["stage_seconds"] = nil
                return tensor
            })
        return report
    }

    @Test func thePartIsTheSameWheneverItIsMade() throws {
        for name in ["a", "b"] { #expect(try compress("--keep 0.5 --shard 2/3", to: name).code == 0) }
        #expect(try folder.content(of: "a") == folder.content(of: "b"))
    }

    @Test func aKilledPartIsResumedAndNotTakenForAnother() throws {
        #expect(try compress("--keep 0.5 --shard 1/2", to: "whole").code == 0)
        for delay in [0.02, 0.05, 0.1] {
            let words = ["compress", ModelFolder.fixture, "-o", folder.at("p"), "--keep", "0.5", "--threads", "1"]
            let run = try ProgramRun.start(words + ["--shard", "1/2"])
            Thread.sleep(forTimeInterval: delay)
            kill(run.processIdentifier, SIGTERM)
            run.waitUntilExit()
            if try folder.names.contains(".p.lowrank-partial") {
                let other = try compress("--keep 0.5 --shard 2/2 --resume", to: "p")
                #expect(other.code == 2 && other.errors.contains("option shard was 1/2, is 2/2"))
            }
            if run.terminationStatus != 0 {
                #expect(try compress("--keep 0.5 --shard 1/2 --resume", to: "p").code == 0)
            }
            #expect(try folder.content(of: "p") == folder.content(of: "whole"))
            try FileManager.default.removeItem(atPath: folder.at("p"))
        }
    }

    @Test func aPlanDividesWhatNeedsToSeeAllMatrices() throws {
        let refused = try compress("--keep 0.5 --allocation loss --shard 1/2", to: "p")
        #expect(refused.code == 2 && refused.errors.contains("lowrank plan -o plan.json"))
        let plan = folder.at("plan.json")
        let planned = try ProgramRun.of(
            ["plan", ModelFolder.fixture, "--keep", "0.5", "--allocation", "loss", "-o", plan, "-q"])
        #expect(planned.code == 0)
        for part in ["1/2", "2/2"] {
            #expect(try compress("--plan \(plan) --shard \(part)", to: "p\(part.prefix(1))").code == 0)
        }
        #expect(try merge(["p1", "p2"]).code == 0)
        #expect(try compress("--plan \(plan)", to: "whole").code == 0)
        #expect(try folder.content(of: "out") == folder.content(of: "whole"))
    }

    @Test func whatIsCompressedInSequenceIsNotDivided() throws {
        let text = ModelFolder.fixture + "/calibration.txt"
        let run = try compress("--keep 0.5 --text \(text) --shard 1/2", to: "p")
        #expect(run.code == 2 && run.errors.contains("--stats to every part"))
        #expect(try folder.names.isEmpty)
    }

    @Test(arguments: ["0/2", "3/2", "2", "x/2"])
    func aPartThatDoesNotExistIsRefused(part: String) throws {
        let run = try compress("--keep 0.5 --shard \(part)", to: "p")
        #expect(run.code == 2 && run.errors.contains("a part such as 2/8"))
    }

    @Test func aDryRunShowsThePart() throws {
        let whole = try ProgramRun.of([
            "compress", ModelFolder.fixture, "-o", folder.at("o"), "--keep", "0.5", "--dry-run",
        ])
        var listed = 0
        for part in ["1/2", "2/2"] {
            let run = try compress("--keep 0.5 --dry-run --shard \(part)", to: "o")
            #expect(run.code == 0 && run.output.contains("part \(part)"))
            listed += run.output.split(separator: "\n").count { $0.hasPrefix("model.layers") }
        }
        #expect(listed == whole.output.split(separator: "\n").count { $0.hasPrefix("model.layers") })
        #expect(try folder.names.isEmpty)
    }

    // MARK: What does not fit together

    @Test func partsMustBeAllThereAndEachOnce() throws {
        for index in 1...3 { #expect(try compress("--keep 0.5 --shard \(index)/3", to: "p\(index)").code == 0) }
        let missing = try merge(["p1", "p3"])
        #expect(missing.code == 2 && missing.errors.contains("part 2/3 is missing; give all 3"))
        let two = try merge(["p3"])
        #expect(two.code == 2 && two.errors.contains("parts 1/3, 2/3 are missing"))
        let twice = try merge(["p1", "p2", "p3", "p2"])
        #expect(twice.code == 2 && twice.errors.contains("part 2/3 is given twice"))
        #expect(try !folder.names.contains("out"))
    }

    @Test(arguments: [
        ("--keep 0.6 --shard 2/2", [:], "option target was --keep 0.5, is --keep 0.6"),
        ("--keep 0.5 --shard 2/3", [:], "number of parts was 2, is 3"),
        ("--keep 0.5 --shard 2/2", ["LOWRANK_ISA": "baseline"], "instruction set"),
    ] as [(String, [String: String], String)])
    func partsOfOtherRunsAreRefused(options: String, environment: [String: String], says: String) throws {
        let first = try ProgramRun.of(
            ["compress", ModelFolder.fixture, "-o", folder.at("p1"), "--keep", "0.5", "--shard", "1/2", "-q"])
        #expect(first.code == 0)
        let isBaseline = try JSON.parse(file: folder.at("p1/part.json"))["isa"]?.string == "baseline"
        if isBaseline && !environment.isEmpty { return }
        let words = options.split(separator: " ").map(String.init)
        let second = try ProgramRun.of(
            ["compress", ModelFolder.fixture, "-o", folder.at("p2"), "-q"] + words, environment: environment)
        #expect(second.code == 0)
        let run = try merge(["p1", "p2"])
        #expect(
            run.code == 3 && run.errors.contains("is not of the same run") && run.errors.contains(says), "\(run.errors)"
        )
    }

    @Test func partsOfAnotherProgramAreRefused() throws {
        #expect(try compress("--keep 0.5 --shard 1/1", to: "p").code == 0)
        var part = try JSON.parse(file: folder.at("p/part.json"))
        part["program"] = "lowrank 0.0.1"
        try Data(part.text(pretty: true).utf8).write(to: URL(fileURLWithPath: folder.at("p/part.json")))
        let run = try merge(["p"])
        #expect(run.code == 3 && run.errors.contains("made by lowrank 0.0.1"))
    }

    @Test func aDamagedPartIsRefused() throws {
        #expect(try compress("--keep 0.5 --shard 1/1", to: "p").code == 0)
        try FileManager.default.copyItem(atPath: folder.at("p"), toPath: folder.at("short"))
        let path = folder.at("short/part.safetensors")
        try Data(contentsOf: URL(fileURLWithPath: path)).prefix(5000).write(to: URL(fileURLWithPath: path))
        #expect(try merge(["short"]).code == 3)
        try Data("{}".utf8).write(to: URL(fileURLWithPath: folder.at("p/part.json")))
        #expect(try merge(["p"]).code == 3)
        let none = try ProgramRun.of(["merge", ModelFolder.fixture, "-o", folder.at("out"), "-q"])
        #expect(none.code == 3 && none.errors.contains("it has no part.json"))
    }

    @Test func aCheckpointThatMovedIsGiven() throws {
        let model = try folder.copyOfFixture()
        for part in ["1/2", "2/2"] {
            let run = try ProgramRun.of(
                ["compress", model, "-o", folder.at("p\(part.prefix(1))"), "--keep", "0.5", "--shard", part, "-q"])
            #expect(run.code == 0)
        }
        try FileManager.default.moveItem(atPath: model, toPath: folder.at("moved"))
        let lost = try merge(["p1", "p2"])
        #expect(lost.code == 3 && lost.errors.contains("give --source"))
        let other = try merge(["p1", "p2"], ["--source", ModelFolder.packageRoot.path + "/Fixtures/tiny-gpt2"])
        #expect(other.code == 3 && other.errors.contains("another checkpoint"))
        #expect(try merge(["p1", "p2"], ["--source", folder.at("moved"), "--no-mmap"]).code == 0)
    }

    @Test func theOutputIsNeitherPartNorSource() throws {
        #expect(try compress("--keep 0.5 --shard 1/1", to: "p").code == 0)
        #expect(try merge(["p"], to: "p", ["--force"]).code == 2)
        #expect(try merge(["p"], to: "p/inside").code == 2)
    }
}
