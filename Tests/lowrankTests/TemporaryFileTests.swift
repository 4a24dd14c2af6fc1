import Foundation
import Testing

/// What runs put into the temporary folder of the system goes with them, however they end.
struct TemporaryFileTests {
    private let folder: ModelFolder
    private let temporary: String

    init() throws {
        folder = try ModelFolder()
        temporary = folder.at("tmp")
        try FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: true)
    }

    private var left: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: temporary).sorted() }
    }

    private var text: String { ModelFolder.fixture + "/calibration.txt" }

    private func start(_ words: [String]) throws -> Process {
        try ProgramRun.start(words, environment: ["TMPDIR": temporary])
    }

    /// Waits for something in the temporary folder.
    private func waitForFiles() throws {
        let start = ContinuousClock.now
        while try left.isEmpty, start.duration(to: .now) < .seconds(30) { Thread.sleep(forTimeInterval: 0.01) }
    }

    /// The hidden states of a search in sequence have no names.
    @Test func aKilledSearchLeavesNothing() throws {
        let words = [
            "plan", ModelFolder.fixture, "--keep", "0.5", "--allocation", "perplexity", "--text", text,
            "--samples", "24", "-q",
        ]
        for delay in [0.5, 1, 1.5, 2] {
            let run = try start(words)
            Thread.sleep(forTimeInterval: delay)
            kill(run.processIdentifier, SIGKILL)
            run.waitUntilExit()
            #expect(try left.isEmpty)
        }
    }

    @Test func whatAKilledDiagnosisLeavesGoesWithTheNext() throws {
        let words = ["diagnose", ModelFolder.fixture, "--text", text, "--samples", "2", "-q"]
        let run = try start(words)
        try waitForFiles()
        kill(run.processIdentifier, SIGKILL)
        run.waitUntilExit()
        #expect(try left.count == 1)
        // Neither the work of other runs nor what only looks like it is touched.
        let others = [".lowrank-out.lowrank-partial", ".lowrank-scratch-mine.lowrank-partial"]
        for name in others {
            try FileManager.default.createDirectory(
                atPath: "\(temporary)/\(name)/units", withIntermediateDirectories: true)
        }
        let next = try ProgramRun.of(words, environment: ["TMPDIR": temporary])
        #expect(next.code == 0, "\(next.errors)")
        #expect(try left == others)
    }

    @Test func aRunningDiagnosisKeepsItsFiles() throws {
        let words = ["diagnose", ModelFolder.fixture, "--text", text, "-q", "--samples"]
        let long = try start(words + ["64"])
        try waitForFiles()
        #expect(try ProgramRun.of(words + ["2"], environment: ["TMPDIR": temporary]).code == 0)
        long.waitUntilExit()
        #expect(long.terminationStatus == 0)
        #expect(try left.isEmpty)
    }
}
