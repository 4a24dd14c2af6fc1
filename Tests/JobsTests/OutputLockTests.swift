import CommandLineKit
import Foundation
import Jobs
import Safetensors
import Testing

/// Two runs for one output.
struct OutputLockTests {
    static let tool = ["/usr/bin/flock", "/bin/flock"].first(where: FileManager.default.fileExists)

    let place: Workplace
    let request: OutputRequest

    init() throws {
        place = try Workplace()
        request = OutputRequest(place.at("out"), inputs: [])
    }

    @Test func aSecondWriterIsRefusedAndDisturbsNothing() throws {
        var job = CountingJob(request: request)
        job.beforeUnit = { [request] index, _ in
            guard index == 2 else { return }
            let process = ProcessInfo.processInfo.processIdentifier
            let failure = CountingJob(request: request).failure()
            let message = "another run (process \(process)) is writing \(request.path); wait for its end"
            #expect(failure == Failure(.usage, message, file: request.path))
        }
        #expect(try job.run() == 4)
        #expect(try place.content(of: "out") == CountingJob.result)
        #expect(!place.exists(".out.lowrank-partial"))
    }

    @Test(.enabled(if: tool != nil, "needs the flock program"))
    func theLockIsSeenByAndDiesWithAnotherProcess() throws {
        let lock = try place.write("", to: ".out.lowrank-partial/lock")
        let holder = Process()
        holder.executableURL = URL(fileURLWithPath: try #require(Self.tool))
        holder.arguments = ["--no-fork", lock, "sleep", "60"]
        try holder.run()
        var refused: Failure?
        for _ in 0..<200 where refused == nil {
            // Until the other process has it, a run here succeeds and removes the folder; so only try its lock.
            let probe = open(lock, O_RDWR)
            let isTaken = flock(probe, LOCK_EX | LOCK_NB) != 0
            close(probe)
            if isTaken { refused = CountingJob(request: request).failure() } else { usleep(10_000) }
        }
        #expect(refused?.message == "another run is writing \(request.path); wait for its end")
        kill(holder.processIdentifier, SIGKILL)
        holder.waitUntilExit()
        #expect(try CountingJob(request: request).run() == 4)
    }

    /// As a program does that is being started elsewhere in this process, until it is another program.
    @Test func aCopyOfTheDescriptorKeepsNoLock() throws {
        let lock = place.at(".out.lowrank-partial/lock")
        var copy: Int32 = -1
        var job = CountingJob(request: request)
        job.beforeUnit = { index, _ in
            guard index == 2 else { return }
            var wanted = stat(), found = stat()
            try #require(lstat(lock, &wanted) == 0)
            let original = (0..<1024).first { fstat($0, &found) == 0 && found.st_ino == wanted.st_ino }
            copy = dup(Int32(try #require(original)))
            throw JobError.interrupted(kept: nil)
        }
        #expect(job.failure() != nil && copy >= 0)
        var resumed = request
        resumed.resume = true
        #expect(try CountingJob(request: resumed).run() == 2)
        close(copy)
    }

    @Test func manyRunsAtOnceGiveOneOutput() throws {
        let request = OutputRequest(place.at("out"), inputs: [], force: true)
        DispatchQueue.concurrentPerform(iterations: 16) { _ in
            let failure = CountingJob(request: request).failure()
            if let failure { #expect(failure.message.contains("another run")) }
        }
        #expect(try place.content() == Dictionary(uniqueKeysWithValues: CountingJob.result.map { ("out/\($0)", $1) }))
    }
}
