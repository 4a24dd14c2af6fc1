import Foundation
import Testing

/// A run that is killed at any moment, and continued, gives the bytes of a run that was not.
struct KillAndResumeTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    private func words(_ output: String, _ more: [String]) -> [String] {
        ["compress", ModelFolder.fixture, "-o", folder.at(output), "--keep", "0.6", "--threads", "1", "-q"] + more
    }

    /// The delays spread over the whole run, from before the first matrix to the writing of the output.
    @Test func killedRunsContinueToTheSameBytes() throws {
        let start = ContinuousClock.now
        #expect(try ProgramRun.of(words("whole", [])).code == 0)
        let length = start.duration(to: .now)
        let expected = try folder.content(of: "whole")
        for step in 0..<8 {
            let output = "killed\(step)"
            let run = try ProgramRun.start(words(output, []))
            Thread.sleep(forTimeInterval: Double(step + 1) / 9 * length.seconds)
            kill(run.processIdentifier, SIGKILL)
            run.waitUntilExit()
            if !FileManager.default.fileExists(atPath: folder.at(output)) {
                let resumed = try ProgramRun.of(words(output, ["--resume"]))
                #expect(resumed.code == 0, "\(resumed.errors)")
                #expect(try folder.names.allSatisfy { !$0.hasPrefix(".\(output).") })
            }
            #expect(try folder.content(of: output) == expected)
        }
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func anInterruptedRunSaysHowToGoOn(signal: Int32) throws {
        let run = try ProgramRun.start(words("out", []))
        Thread.sleep(forTimeInterval: 0.1)
        kill(run.processIdentifier, signal)
        run.waitUntilExit()
        // A quick machine may be done before the signal.
        guard run.terminationStatus != 0 else { return }
        #expect(run.terminationStatus == 130)
        #expect(!FileManager.default.fileExists(atPath: folder.at("out")))
        let other = try ProgramRun.of(
            ["compress", ModelFolder.fixture, "-o", folder.at("out"), "--keep", "0.5", "-q", "--resume"])
        if try folder.names.contains(where: { $0.contains("partial") }) {
            #expect(other.code == 2 && other.errors.contains("0.6"))
        }
    }
}

extension Duration {
    fileprivate var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
