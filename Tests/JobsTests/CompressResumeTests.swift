import CommandLineKit
import Foundation
import Jobs
import Planning
import Synchronization
import Testing

/// A compression that stops, or is killed, between any two matrices, and goes on.
struct CompressResumeTests {
    let place: Workplace

    init() throws { place = try Workplace() }

    private static let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/tiny-llama").path

    /// One matrix a unit, several, and all in one.
    private static let sizes = [
        UnitSize(bytes: 0, seconds: 0), UnitSize(bytes: 100_000, seconds: 1000), UnitSize(bytes: .max, seconds: 1000),
    ]

    private func job(_ output: String, resume: Bool = false, size: UnitSize = .usual) -> CompressJob {
        var request = CompressionRequest(
            checkpoint: Self.fixture, output: place.at(output), target: .keep(0.6))
        request.resume = resume
        return CompressJob(request, unitSize: size)
    }

    /// Calls `action` once `count` matrices are done.
    private func after(_ count: Int, _ action: @escaping @Sendable () -> Bool) -> Interruption {
        let asked = Mutex(0)
        return Interruption {
            let isDue = asked.withLock { asked in
                asked += 1
                return asked == count + 1
            }
            return isDue && action()
        }
    }

    @Test(arguments: sizes.indices, [1, 8, 34])
    func interruptedRunsKeepWhatIsDone(size: Int, matrices: Int) throws {
        let expected = try whole()
        #expect(throws: JobError.interrupted(kept: place.at(".out.lowrank-partial"))) {
            try job("out", size: Self.sizes[size]).run(interruption: after(matrices) { true })
        }
        let resumed = Recorder()
        try job("out", resume: true).run(progress: resumed)
        #expect(resumed.alreadyDone == matrices)
        #expect(try content("out") == expected)
    }

    /// The staging folder is copied while the run goes on, as a kill would leave it, and put back.
    @Test(arguments: sizes.indices, [0, 1, 8, 34])
    func killedRunsResumeToTheSameBytes(size: Int, matrices: Int) throws {
        let expected = try whole(), staging = place.at(".out.lowrank-partial"), snapshot = place.at("snapshot")
        let failure = Mutex<(any Error)?>(nil)
        try job("out", size: Self.sizes[size]).run(interruption: after(matrices) {
            failure.withLock { $0 = Workplace.snapshot(of: staging, to: snapshot) }
            return false
        })
        #expect(failure.withLock { $0 } == nil)
        try FileManager.default.removeItem(atPath: place.at("out"))
        try FileManager.default.moveItem(atPath: snapshot, toPath: staging)
        let resumed = Recorder()
        try job("out", resume: true, size: Self.sizes[size]).run(progress: resumed)
        // The last matrix may still be on its way to the disk.
        if size == 0 { #expect(resumed.alreadyDone >= matrices - 1) }
        #expect(resumed.alreadyDone <= matrices)
        #expect(try content("out") == expected)
        #expect(!place.exists(".out.lowrank-partial"))
    }

    @Test func smallMatricesShareAUnit() throws {
        for (size, units) in zip(Self.sizes, [8...8, 2...7, 1...1]) {
            _ = try? job("units", size: size).run(interruption: after(8) { true })
            let names = try FileManager.default.contentsOfDirectory(atPath: place.at(".units.lowrank-partial/units"))
            #expect(units.contains(names.count { $0.hasSuffix(".unit.json") }), "\(names)")
            try FileManager.default.removeItem(atPath: place.at(".units.lowrank-partial"))
        }
    }

    private func whole() throws -> [String: Data] {
        if !place.exists("whole") { try job("whole").run() }
        return try content("whole")
    }

    /// Every file but the report, which has times.
    private func content(_ name: String) throws -> [String: Data] {
        var content: [String: Data] = [:]
        let items = try FileManager.default.subpathsOfDirectory(atPath: place.at(name))
        for item in items where !item.hasPrefix("report.") {
            content[item] = FileManager.default.contents(atPath: place.at("\(name)/\(item)"))
        }
        return content
    }
}

/// Remembers how much of a compression was done before.
private final class Recorder: ProgressReporter {
    private let done = Mutex(0)

    var alreadyDone: Int { done.withLock { $0 } }

    func begin(_ stage: ProgressStage) {
        if stage.title == "compress" { done.withLock { $0 = stage.alreadyDone } }
    }

    func log(_ level: LogLevel, _ message: String) {}
    func advance(by amount: Int, _ label: String) {}
    func end() {}
}
