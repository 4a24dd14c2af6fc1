import CommandLineKit
import Foundation
import Jobs
import Planning
import Synchronization
import Testing

/// Shards of the output that are written while the rest is compressed.
struct ShardStreamTests {
    let place: Workplace

    init() throws { place = try Workplace() }

    private static let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/tiny-llama").path

    /// - Parameter streams: whether every matrix is a unit, so that shards are looked for behind each; otherwise all of
    ///   them are one unit and every shard is written at the end.
    private func job(
        _ output: String, streams: Bool = true, resume: Bool = false, shardBytes: Int = 60_000
    ) -> CompressJob {
        var request = CompressionRequest(checkpoint: Self.fixture, output: place.at(output), target: .keep(0.6))
        request.maximumShardBytes = shardBytes
        request.resume = resume
        let seconds = streams ? 0.0 : 1000
        return CompressJob(request, unitSize: UnitSize(bytes: streams ? 0 : .max, seconds: seconds))
    }

    /// Runs a job that is not streamed, and gives its files.
    private func whole(shardBytes: Int = 60_000) throws -> [String: Data] {
        try job("whole", streams: false, shardBytes: shardBytes).run()
        return try content("whole")
    }

    /// Asked to stop, and asked so from then on, once something is true of the staging folder.
    private func when(_ isDue: @escaping @Sendable (_ staging: String) -> Bool) -> Interruption {
        let isAsked = Mutex(false), staging = place.at(".out.lowrank-partial")
        return Interruption {
            isAsked.withLock { isAsked in
                isAsked = isAsked || isDue(staging)
                return isAsked
            }
        }
    }

    /// Names in a folder that may not be there.
    private static func names(_ folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }

    /// Copies the staging folder after `count` matrices, as a kill would leave it.
    private func snapshot(after count: Int) throws {
        let failure = Mutex<(any Error)?>(nil), isDone = Mutex(false)
        let staging = place.at(".out.lowrank-partial"), snapshot = place.at("snapshot")
        try job("out").run(
            interruption: Interruption {
                isDone.withLock { isDone in
                    guard !isDone, Self.names(staging + "/units").count(where: Self.isRecord) >= count else { return }
                    isDone = true
                    failure.withLock { $0 = Workplace.snapshot(of: staging, to: snapshot) }
                }
                return false
            })
        #expect(failure.withLock { $0 } == nil)
        try FileManager.default.removeItem(atPath: place.at("out"))
        try FileManager.default.moveItem(atPath: snapshot, toPath: staging)
    }

    @Sendable private static func isRecord(_ name: String) -> Bool { name.hasSuffix(".unit.json") }

    @Test(arguments: [1, 30_000, 60_000, 200_000, 5_000_000])
    func theBytesAreThoseOfAnOutputThatIsWrittenAtTheEnd(shardBytes: Int) throws {
        let expected = try whole(shardBytes: shardBytes)
        try job("out", shardBytes: shardBytes).run()
        #expect(try content("out") == expected)
        #expect(!place.exists(".out.lowrank-partial"))
    }

    @Test func shardsTakeTheDataOfUnits() throws {
        try snapshot(after: 30)
        let shards = try names("shards"), units = try names("units")
        #expect(shards.filter { $0.hasSuffix(".safetensors") }.count >= 2)
        let records = units.count(where: Self.isRecord)
        #expect(records >= 28 && units.filter { $0.hasSuffix(".safetensors") }.count < records)
    }

    @Test(arguments: [1, 7, 12, 20, 33])
    func killedRunsResumeToTheSameBytes(matrices: Int) throws {
        let expected = try whole()
        try snapshot(after: matrices)
        try job("out", resume: true).run()
        #expect(try content("out") == expected)
        #expect(!place.exists(".out.lowrank-partial"))
    }

    /// Where shards are gone with an output that a kill kept from appearing, their matrices are done again.
    @Test func shardsThatAreGoneAreMadeAgain() throws {
        let expected = try whole()
        try snapshot(after: 33)
        try FileManager.default.removeItem(atPath: place.at(".out.lowrank-partial/shards"))
        try job("out", resume: true).run()
        #expect(try content("out") == expected)
    }

    /// The places where a shard begins: ahead of the rest, and at the end.
    @Test(arguments: ["shards", "output"])
    func aShardOnItsWayIsGivenUpWhenTheRunIsStopped(folder: String) throws {
        let expected = try whole()
        // Asked from the moment on at which the second file is begun.
        let interruption = when { staging in
            let names = Self.names("\(staging)/\(folder)")
            return names.count >= 2 && names.contains { $0.hasSuffix(".partial") }
        }
        #expect(throws: JobError.interrupted(kept: place.at(".out.lowrank-partial"))) {
            try job("out").run(interruption: interruption)
        }
        #expect(!place.exists("out") && !place.exists(".out.lowrank-partial/output"))
        let shards = Self.names(place.at(".out.lowrank-partial/shards"))
        #expect(!shards.isEmpty && shards.allSatisfy { $0.hasSuffix(".safetensors") })
        try job("out", resume: true).run()
        #expect(try content("out") == expected)
    }

    private func names(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: place.at(".out.lowrank-partial/\(folder)"))
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
