import Checkpoints
import CommandLineKit
import CompressionCore
import Foundation
import Jobs
import Kernels
import LinearAlgebra
import Safetensors
import Testing

/// The small things that every job uses.
struct ProcessTests {
    @Test func everyFloorHasItsExitCode() {
        struct Unknown: Error {}
        let table: [(any Error, ExitCode)] = [
            (JobError.outputExists("x"), .usage), (JobError.interrupted(kept: nil), .interrupted),
            (JobError.notEnoughSpace(folder: "/", needed: 2, available: 1), .inputOutput),
            (JobError.numericFailure("no"), .numericFailure), (UsageError.repeated(option: "--x"), .usage),
            (FileError(.open, "x", code: ENOENT), .badInput), (FileError(.write, "x", code: ENOSPC), .inputOutput),
            (FileError(.open, "x", code: EACCES), .inputOutput), (FileError(.create, "x", code: ENOENT), .inputOutput),
            (FileError(.open, "x", code: EISDIR), .badInput), (FileError(.open, "x", code: EINVAL), .badInput),
            (SafetensorsError(file: "f", .tooShort(bytes: 3)), .badInput),
            (SafetensorsError(file: "f", .file(FileError(.open, "f", code: EACCES))), .inputOutput),
            (CheckpointError.noTensors(folder: "x"), .badInput),
            (CheckpointError.safetensors(SafetensorsError(file: "f", .tooShort(bytes: 3))), .badInput),
            (CheckpointError.file(FileError(.list, "x", code: EACCES)), .inputOutput),
            (LinearAlgebraError.nonFinite(row: 1, column: 2), .badInput),
            (LinearAlgebraError.notConverged(solver: "QL", iterations: 30), .numericFailure),
            (CheckpointError.noTensors(folder: "f"), .badInput),
            (CheckpointError.file(FileError(.read, "f", code: EIO)), .inputOutput),
            (CheckpointError.safetensors(SafetensorsError(file: "f", .noSuchTensor)), .badInput),
            (OperatorError.missingTensor("w"), .badInput),
            (CompressionError.targetUnreachable("too small"), .conditionNotMet),
            (CompressionError.impossible(module: "m", reason: "no"), .usage),
            (InstructionSetError.unknown("x"), .usage), (Unknown(), .inputOutput),
        ]
        for (error, code) in table { #expect(Failure(explaining: error).code == code, "\(error)") }
    }

    @Test func aMalformedFileIsNamedOnce() {
        let failure = Failure(explaining: SafetensorsError(file: "a.safetensors", tensor: "w", .noSuchTensor))
        #expect(failure.file == "a.safetensors")
        #expect(failure.tensor == "w")
        #expect(failure.sentence == "a.safetensors: tensor \"w\": there is no such tensor")
    }

    @Test func aFileThatIsCalledLikeAWordOfTheMessageIsNamed() {
        let table: [(file: String, message: String, sentence: String)] = [
            ("model", "the model has 5 layers", "model: the model has 5 layers"),
            ("model", "model: cannot open", "model: cannot open"),
            ("x", "the output x is the input y", "the output x is the input y"),
            ("a/model", "nothing in a/model is compressed", "nothing in a/model is compressed"),
        ]
        for (file, message, sentence) in table {
            #expect(Failure(.badInput, message, file: file).sentence == sentence)
        }
    }

    @Test func errorsLearnWhereTheyHappened() {
        let message = "the element at row 1, column 2 is not a finite number"
        #expect(throws: Failure(.badInput, message, file: "f", tensor: "w")) {
            try Failure.naming(file: "f", tensor: "w") { throw LinearAlgebraError.nonFinite(row: 1, column: 2) }
        }
        #expect(throws: JobError.interrupted(kept: nil)) {
            try Failure.naming(file: "f", tensor: "w") { throw JobError.interrupted(kept: nil) }
        }
    }

    @Test func interruptionIsAskedBetweenUnits() throws {
        try Interruption.never.check()
        #expect(throws: JobError.interrupted(kept: nil)) { try Interruption { true }.check() }
    }

    @Test func aSignalAsksToStop() {
        let interruption = Interruption.bySignals()
        #expect(!interruption.isRequested)
        // To the process, as a user does; the threads of a pool block signals, so the answer comes from another one.
        kill(getpid(), SIGTERM)
        for _ in 0..<500 where !interruption.isRequested { usleep(10_000) }
        #expect(interruption.isRequested)
    }

    @Test func spaceIsComparedWithWhatIsFree() throws {
        let place = try Workplace()
        try SpaceCheck.require(bytes: 0, at: place.at("not/yet/there"))
        let failure = #expect(throws: JobError.self) { try SpaceCheck.require(bytes: .max, at: place.at("not/yet")) }
        guard case .notEnoughSpace(_, let needed, let available) = failure else {
            Issue.record("another error")
            return
        }
        #expect(needed == .max && available > 0)
    }

    @Test func memoryAndTimeAreMeasured() {
        let watch = Stopwatch()
        #expect(ResourceUse.peakResidentBytes > 1 << 20)
        #expect(watch.seconds >= 0)
    }
}

/// What identifies an input.
struct InputFingerprintTests {
    let place: Workplace

    init() throws { place = try Workplace() }

    @Test func copiesHaveTheSameContentAndChangesShow() throws {
        for name in ["a", "b", "c"] {
            try place.write("{}", to: "\(name)/config.json")
            try place.write(name == "c" ? "weighty" : "weights", to: "\(name)/model.safetensors")
        }
        try place.write("x", to: "b/.cache")
        let prints = try ["a", "b", "c"].map { try InputFingerprint(of: place.at($0)) }
        #expect(prints[0].files.map(\.name) == ["config.json", "model.safetensors"])
        #expect(prints[0].contentDigest == prints[1].contentDigest)
        #expect(prints[0].contentDigest != prints[2].contentDigest)
        #expect(prints[0].entries(role: "r/").keys.sorted() == ["r/config.json", "r/model.safetensors"])
    }

    @Test func theTimeOfChangeCounts() throws {
        let file = try place.write("weights", to: "a")
        let first = try InputFingerprint(of: file)
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 1)], ofItemAtPath: file)
        let second = try InputFingerprint(of: file)
        #expect(first.contentDigest == second.contentDigest)
        #expect(first.entries() != second.entries())
    }

    @Test(arguments: [0, (1 << 20) - 1, (9 << 20) - 1])
    func bothEndsOfALongFileCount(position: Int) throws {
        var bytes = Data(count: 9 << 20)
        try bytes.write(to: URL(fileURLWithPath: place.at("a")))
        bytes[position] = 1
        try bytes.write(to: URL(fileURLWithPath: place.at("b")))
        let digests = try ["a", "b"].map { try InputFingerprint(of: place.at($0)).files[0].digest }
        #expect(digests[0] != digests[1])
    }

    @Test func aMissingInputIsAnError() {
        #expect(throws: FileError(.open, place.at("none"), code: ENOENT)) { try InputFingerprint(of: place.at("none")) }
    }
}
