import Foundation
import Testing

/// What scripts on shared machines rely on: plain reads, limits, read-only inputs, and one writer for an output.
struct BatchCommandTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    private func run(_ line: String) throws -> ProgramRun {
        try ProgramRun.of(line.split(separator: " ").map(String.init))
    }

    private func compress(_ output: String, _ more: String = "") throws -> ProgramRun {
        try run("compress \(ModelFolder.fixture) -o \(folder.at(output)) --keep 0.6 -q \(more)")
    }

    // MARK: Plain reads

    @Test func readingWithoutMappingGivesTheSameBytes() throws {
        for (name, more) in [("mapped", ""), ("read", "--no-mmap")] {
            #expect(try compress(name, more).code == 0)
            let text = "\(ModelFolder.fixture)/heldout.txt --samples 2"
            let calibrated = try run(
                "calibrate \(ModelFolder.fixture) --text \(text) -o \(folder.at("stats-" + name)) -q \(more)")
            #expect(calibrated.code == 0)
            #expect(try run("reconstruct \(folder.at("mapped")) -o \(folder.at("dense-" + name)) -q \(more)").code == 0)
        }
        #expect(try folder.content(of: "mapped") == folder.content(of: "read"))
        #expect(try folder.content(of: "dense-mapped") == folder.content(of: "dense-read"))
        #expect(
            FileManager.default.contentsEqual(atPath: folder.at("stats-mapped"), andPath: folder.at("stats-read")))
    }

    @Test(arguments: [
        "inspect MODEL --spectrum", "verify OUT --against MODEL", "plan MODEL --keep 0.5 --allocation loss",
        "eval OUT --text MODEL/heldout.txt --samples 2 --reference MODEL", "generate OUT --prompt Once --max-tokens 4",
    ])
    func everyReaderCanReadWithoutMapping(line: String) throws {
        #expect(try compress("out").code == 0)
        let words = line.replacingOccurrences(of: "MODEL", with: ModelFolder.fixture)
            .replacingOccurrences(of: "OUT", with: folder.at("out"))
        let mapped = try run("\(words) -q"), read = try run("\(words) -q --no-mmap")
        #expect(mapped.code == 0 && read.code == 0, "\(read.errors)")
        #expect(Self.withoutTimes(read.output) == Self.withoutTimes(mapped.output))
    }

    /// Lines that tell of a speed or of memory differ from run to run.
    private static func withoutTimes(_ text: String) -> [Substring] {
        let marks = ["/s", "per second", " ms", "memory"]
        return text.split(separator: "\n").filter { line in !marks.contains { line.contains($0) } }
    }

    // MARK: Limits

    /// A file that may not grow is an error of the machine, wherever the limit is met; the old output stays.
    @Test(arguments: [1, 2, 40, 200, 1000, 2600])
    func aFileThatMayNotGrowIsAnErrorOfTheMachine(blocks: Int) throws {
        #expect(try compress("out", "--force").code == 0)
        let before = try folder.content(of: "out")
        let program = ProgramRun.buildFolder.appendingPathComponent("lowrank").path
        let line = "'\(program)' compress '\(ModelFolder.fixture)' -o '\(folder.at("out"))' --keep 0.8 --force -q"
        let limited = try ProgramRun.of(
            ["-c", "ulimit -f \(blocks); \(line)"], program: URL(fileURLWithPath: "/bin/sh"))
        #expect(limited.code == 5 && limited.errors.contains("cannot write"), "\(limited)")
        #expect(try folder.content(of: "out") == before)
        #expect(try folder.names == ["out"] || folder.names == [".out.lowrank-partial", "out"])
        let resumed = try run("compress \(ModelFolder.fixture) -o \(folder.at("out")) --keep 0.8 --force --resume -q")
        #expect(resumed.code == 0)
        #expect(try folder.names == ["out"])
    }

    @Test func aReadOnlyInputIsEnough() throws {
        let model = try folder.copyOfFixture()
        let files = try FileManager.default.contentsOfDirectory(atPath: model).map { "\(model)/\($0)" }
        for path in files { try FileManager.default.setAttributes([.posixPermissions: 0o444], ofItemAtPath: path) }
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: model)
        defer { try? FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: model) }
        let before = try files.map { try FileManager.default.attributesOfItem(atPath: $0)[.modificationDate] as? Date }
        #expect(try run("compress \(model) -o \(folder.at("out")) --keep 0.6 -q").code == 0)
        #expect(
            try run("calibrate \(model) --text \(model)/heldout.txt --samples 1 -o \(folder.at("stats")) -q").code == 0)
        #expect(try run("reconstruct \(folder.at("out")) -o \(folder.at("dense")) -q").code == 0)
        #expect(
            before
                == (try files.map { try FileManager.default.attributesOfItem(atPath: $0)[.modificationDate] as? Date }))
        #expect(try FileManager.default.contentsOfDirectory(atPath: model).count == files.count)
    }

    // MARK: Two writers

    @Test func aSecondWriterIsRefusedWhileTheFirstWorks() throws {
        let staging = folder.at(".out.lowrank-partial")
        let first = try ProgramRun.start(
            ["compress", ModelFolder.fixture, "-o", folder.at("out"), "--keep", "0.9", "--threads", "1", "--exact"])
        defer { first.waitUntilExit() }
        while first.isRunning && !FileManager.default.fileExists(atPath: staging + "/units") { usleep(500) }
        kill(first.processIdentifier, SIGSTOP)
        defer { kill(first.processIdentifier, SIGCONT) }
        // A machine that stood still meanwhile may have let the first one end.
        guard FileManager.default.fileExists(atPath: staging + "/lock") else { return }
        for words in [["--force"], ["--resume"], []] {
            let second = try compress("out", words.joined(separator: " "))
            #expect(second.code == 2 && second.errors.contains("another run"), "\(second.errors)")
        }
    }
}
