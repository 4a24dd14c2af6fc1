import CommandLineKit
import Foundation
import Jobs
import Safetensors
import Testing

/// What an interrupted run leaves, and how the next one takes it.
struct ResumeTests {
    let place: Workplace
    let staging: String

    init() throws {
        place = try Workplace()
        staging = place.at(".out.lowrank-partial")
    }

    func job(force: Bool = false, resume: Bool = false) -> CountingJob {
        CountingJob(request: OutputRequest(place.at("out"), inputs: [], force: force, resume: resume))
    }

    /// Stops a run before its third unit.
    func interrupt() {
        var job = job()
        job.beforeUnit = { index, _ in if index == 2 { throw JobError.interrupted(kept: nil) } }
        #expect(
            job.failure()
                == Failure(
                    .interrupted,
                    "interrupted; finished work is kept in \(staging), the same command with --resume continues it"))
        #expect(!place.exists("out"))
    }

    @Test func resumingDoesOnlyWhatIsMissing() throws {
        interrupt()
        #expect(try job(resume: true).run() == 2)
        #expect(try place.content(of: "out") == CountingJob.result)
        #expect(!place.exists(".out.lowrank-partial"))
    }

    @Test func leftoversAreRefusedWithoutAWord() throws {
        interrupt()
        let message = "an interrupted run left 2 finished units in \(staging); "
            + "--resume continues it, --force discards it"
        #expect(job().failure() == Failure(.usage, message, file: staging))
        #expect(try job(resume: true).run() == 2)
    }

    @Test func forceDiscardsLeftovers() throws {
        interrupt()
        #expect(try job(force: true).run() == 4)
        #expect(try place.content(of: "out") == CountingJob.result)
    }

    @Test func withNothingToContinueItStartsFresh() throws {
        #expect(try job(resume: true).run() == 4)
        var stopped = job(force: true)
        stopped.beforeUnit = { _, _ in throw JobError.interrupted(kept: nil) }
        #expect(stopped.failure() == Failure(.interrupted, "interrupted"))
        #expect(!place.exists(".out.lowrank-partial"))
    }

    @Test func anotherRunIsNotContinued() throws {
        interrupt()
        var other = job(resume: true)
        other.options = ["keep": "0.8", "rank": "3"]
        let failure = other.failure()
        #expect(failure?.code == .usage)
        #expect(failure?.message.contains("option keep was 0.6, is 0.8; option rank was not given, is 3;") == true)
        #expect(try job(resume: true).run() == 2)
    }

    @Test func everyDifferenceIsNamed() throws {
        let earlier = RunFingerprint(
            inputs: ["a": "1", "b": "1"], options: ["keep": "1"], instructionSet: "avx2", program: "lowrank 1")
        let now = RunFingerprint(
            inputs: ["b": "2", "c": "1"], options: [:], instructionSet: "avx512", program: "lowrank 2")
        let request = OutputRequest(place.at("out"), inputs: [], resume: true)
        #expect(throws: JobError.interrupted(kept: staging)) {
            try StagedOutput.write(request, resumable: earlier) { staged in
                try staged.journal.finish("x", record: [:])
                throw JobError.interrupted(kept: nil)
            }
        }
        let differences = [
            "the program was lowrank 1, is lowrank 2", "the instruction set was avx2, is avx512",
            "option keep was 1, is not given", "input a is gone", "input b has changed", "input c is new",
        ]
        #expect(throws: JobError.journalMismatch(folder: staging, differences: differences)) {
            try StagedOutput.write(request, resumable: now) { _ in }
        }
    }

    @Test func aFullDiskKeepsFinishedWorkAndSaysSo() throws {
        var full = job()
        full.beforeUnit = { index, _ in if index == 3 { throw FileError(.write, "/disk/x", code: ENOSPC) } }
        let failure = full.failure()
        #expect(failure?.code == .inputOutput)
        #expect(failure?.message.contains("finished work is kept in \(staging)") == true)
        #expect(try job(resume: true).run() == 1)
    }

    /// Puts back what a kill at some point would have left, then resumes.
    @Test(arguments: 0..<4, [false, true])
    func aRunKilledAnywhereResumesToTheSameBytes(unit: Int, halfWritten: Bool) throws {
        let snapshot = place.at("snapshot")
        var killed = job()
        killed.beforeUnit = { [staging] index, staged in
            guard index == unit else { return }
            if halfWritten {
                // Data without a record, a temporary file, and an output in the making.
                try AtomicFile.write("half", to: staged.journal.dataPath(of: "unit/\(index)", ".txt"))
                try AtomicFile.write("x", to: staged.journal.dataPath(of: "t", ".partial"))
                try AtomicFile.write("old", to: staged.path + "/stale.txt")
            }
            try FileManager.default.copyItem(atPath: staging, toPath: snapshot)
            throw JobError.badInput("stands for a kill")
        }
        #expect(killed.failure()?.code == .badInput)
        try FileManager.default.moveItem(atPath: snapshot, toPath: staging)
        #expect(try job(resume: true).run() == 4 - unit)
        #expect(try place.content() == Dictionary(uniqueKeysWithValues: CountingJob.result.map { ("out/\($0)", $1) }))
    }

    @Test func anyTextNamesAUnit() throws {
        let names = ["a/b", "a%2fb", "..", "é", "a b"]
        let request = OutputRequest(place.at("out"), inputs: [])
        try StagedOutput.write(request, resumable: nil) { staged in
            for (index, name) in names.enumerated() { try staged.journal.finish(name, record: JSON(index)) }
            #expect(try staged.journal.finishedUnits() == names.count)
            for (index, name) in names.enumerated() { #expect(try staged.journal.record(of: name)?.int == index) }
        }
    }
}
