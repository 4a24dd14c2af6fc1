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

    /// Waits until the process holds a file of the temporary folder, named or not; only Linux tells.
    private func waitForOpenFile(of run: Process) -> Bool {
        let start = ContinuousClock.now, files = "/proc/\(run.processIdentifier)/fd"
        while run.isRunning, start.duration(to: .now) < .seconds(60) {
            let numbers = (try? FileManager.default.contentsOfDirectory(atPath: files)) ?? []
            let paths = numbers.compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "\(files)/\($0)")
            }
            if paths.contains(where: { $0.hasPrefix(temporary) }) { return true }
            Thread.sleep(forTimeInterval: 0.002)
        }
        return false
    }

    /// The hidden states of a search in sequence have no names.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/proc/self/fd"), "needs /proc"))
    func aKilledSearchLeavesNothing() throws {
        let words = [
            "plan", ModelFolder.fixture, "--keep", "0.5", "--allocation", "perplexity", "--text", text,
            "--samples", "24", "-q",
        ]
        for _ in 0..<2 {
            let run = try start(words)
            #expect(waitForOpenFile(of: run))
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
