import CommandLineKit
import Foundation
import Jobs
import Models
import Planning
import Safetensors
import Synchronization
import Testing

/// A sweep that stops, or is killed, at any point and goes on ends with the same results.
struct SweepResumeTests {
    let place: Workplace

    init() throws { place = try Workplace() }

    private static let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/tiny-llama").path

    private func job(_ output: String, resume: Bool = false) -> SweepJob {
        let points = [("svd", 0.6), ("svd", 0.3), ("saten", 0.5)].enumerated().map { index, point in
            var request = CompressionRequest(
                checkpoint: Self.fixture, output: "point", target: .keep(point.1), method: point.0)
            request.selection = ModuleSelection(layers: LayerSelection("0-1"))
            return SweepPoint(label: "\(index + 1)-\(point.0)", request: request, options: [])
        }
        var request = SweepRequest(
            checkpoint: Self.fixture, output: place.at(output), points: points,
            evaluation: SequenceSource(.text([Self.fixture + "/heldout.txt"]), context: 64, samples: 2),
            written: ["2-svd"])
        request.resume = resume
        return SweepJob(request, unitSize: UnitSize(bytes: 0, seconds: 0))
    }

    /// Weights that were written, and the table without its seconds.
    private func result(_ name: String) throws -> [String: Data] {
        var files: [String: Data] = [:]
        for file in try FileManager.default.subpathsOfDirectory(atPath: place.at(name))
        where !file.contains("/report.") && !file.hasPrefix("sweep.") {
            files[file] = FileManager.default.contents(atPath: place.at(name) + "/" + file)
        }
        let table = try String(contentsOfFile: place.at(name) + "/sweep.csv", encoding: .utf8).split(separator: "\n")
            .map { line in
                var fields = line.split(separator: ",", omittingEmptySubsequences: false)
                fields.remove(at: 10)
                return fields.joined(separator: ",")
            }
        files["sweep.csv"] = Data(table.joined(separator: "\n").utf8)
        return files
    }

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

    @Test(arguments: [4, 9, 30, 58, 62, 66])
    func stoppedSweepsGoOnWhereTheyWere(checks: Int) throws {
        try job("whole").run()
        #expect(throws: JobError.interrupted(kept: place.at(".out.lowrank-partial"))) {
            try job("out").run(interruption: after(checks) { true })
        }
        try job("out", resume: true).run()
        #expect(try result("out") == result("whole"))
        #expect(!place.exists(".out.lowrank-partial"))
    }

    /// The staging folder is copied while the run goes on, as a kill would leave it, and put back.
    @Test(arguments: [5, 27, 61])
    func killedSweepsResumeToTheSameResults(checks: Int) throws {
        try job("whole").run()
        let staging = place.at(".out.lowrank-partial"), snapshot = place.at("snapshot")
        let failure = Mutex<(any Error)?>(nil)
        try job("out").run(interruption: after(checks) {
            failure.withLock { $0 = Workplace.snapshot(of: staging, to: snapshot) }
            return false
        })
        #expect(failure.withLock { $0 } == nil)
        try FileManager.default.removeItem(atPath: place.at("out"))
        try FileManager.default.moveItem(atPath: snapshot, toPath: staging)
        try job("out", resume: true).run()
        #expect(try result("out") == result("whole"))
    }

    @Test func anotherSweepIsNotContinued() throws {
        _ = try? job("out").run(interruption: after(20) { true })
        var other = job("out", resume: true)
        other.request.points.removeLast()
        let failure = #expect(throws: (any Error).self) { try other.run() }
        #expect(failure.map { Failure(explaining: $0).message.contains("is not this one") } == true)
    }
}
