import CommandLineKit
import Foundation
import Jobs
import Safetensors
import Testing

/// How an output appears, and what becomes of the one that was there.
struct StagedOutputTests {
    let place: Workplace

    init() throws { place = try Workplace() }

    func request(_ name: String = "out", force: Bool = false) -> OutputRequest {
        OutputRequest(place.at(name), inputs: [], force: force)
    }

    @Test(arguments: ["out", "new/folders/out", "out/", "./x/../out", ".hidden"])
    func aFinishedJobLeavesOnlyItsOutput(name: String) throws {
        #expect(try CountingJob(request: request(name)).run() == 4)
        let folder = place.at(name).hasSuffix("x/../out") ? "out" : name.trimmingCharacters(in: ["/"])
        let expected = CountingJob.result.map { ("\(folder)/\($0.key)", $0.value) }
        #expect(try place.content() == Dictionary(expected) { a, _ in a })
    }

    @Test func anEmptyFolderIsFilled() throws {
        try FileManager.default.createDirectory(atPath: place.at("out"), withIntermediateDirectories: false)
        _ = try CountingJob(request: request()).run()
        #expect(try place.content(of: "out") == CountingJob.result)
    }

    @Test func anOutputThatExistsIsRefusedWithoutForce() throws {
        try place.write("mine", to: "out/notes")
        let failure = CountingJob(request: request()).failure()
        let message = "\(place.at("out")) exists and is not empty; --force replaces it once the new output is complete"
        #expect(failure == Failure(.usage, message, file: place.at("out")))
        #expect(try place.content() == ["out/notes": "mine"])
        #expect(throws: JobError.outputExists(place.at("out"))) { try request().validate() }
    }

    @Test func forceKeepsTheOldOutputUntilTheNewOneIsComplete() throws {
        try place.write("mine", to: "out/notes")
        var job = CountingJob(request: request(force: true))
        job.beforeUnit = { _, _ in
            let old = try place.content(of: "out")
            #expect(old == ["notes": "mine"])
        }
        #expect(try job.run() == 4)
        #expect(try place.content() == Dictionary(uniqueKeysWithValues: CountingJob.result.map { ("out/\($0)", $1) }))
    }

    @Test func aFailureLeavesTheOldOutputAndNothingElse() throws {
        try place.write("mine", to: "out/notes")
        var job = CountingJob(request: request(force: true))
        job.beforeUnit = { index, _ in if index == 2 { throw JobError.badInput("NaN", tensor: "w") } }
        #expect(job.failure() == Failure(.badInput, "NaN", tensor: "w"))
        #expect(try place.content() == ["out/notes": "mine"])
    }

    @Test func anOutputFileAppearsWhole() throws {
        let request = OutputRequest(place.at("plan.json"), kind: .file, inputs: [])
        try StagedOutput.write(request, resumable: nil) { try AtomicFile.write("{}", to: $0.path) }
        #expect(try place.content() == ["plan.json": "{}"])
        #expect(throws: JobError.outputExists(place.at("plan.json"))) {
            try StagedOutput.write(request, resumable: nil) { try AtomicFile.write("[]", to: $0.path) }
        }
        let forced = OutputRequest(place.at("plan.json"), kind: .file, inputs: [], force: true)
        try StagedOutput.write(forced, resumable: nil) { try AtomicFile.write("[]", to: $0.path) }
        #expect(try place.content() == ["plan.json": "[]"])
    }

    @Test(arguments: [true, false])
    func onlyItsOwnKindIsReplaced(isFile: Bool) throws {
        if isFile { try place.write("x", to: "out") } else { try place.write("x", to: "out/x") }
        let request = OutputRequest(place.at("out"), kind: isFile ? .folder : .file, inputs: [], force: true)
        let expected = isFile ? JobError.outputIsNotAFolder(place.at("out")) : .outputIsNotAFile(place.at("out"))
        #expect(throws: expected) { try request.validate() }
    }

    @Test func aLinkToNothingIsRefused() throws {
        try FileManager.default.createSymbolicLink(atPath: place.at("out"), withDestinationPath: place.at("nowhere"))
        #expect(throws: JobError.outputIsNotAFolder(place.at("out"))) { try request().validate() }
        #expect(throws: JobError.usage("the output has an empty path")) {
            try OutputRequest("", inputs: []).validate()
        }
    }

    @Test func aLinkToAFolderStaysALink() throws {
        try place.write("old", to: "real/old")
        try FileManager.default.createSymbolicLink(atPath: place.at("out"), withDestinationPath: place.at("real"))
        _ = try CountingJob(request: request(force: true)).run()
        #expect(try place.content(of: "real") == CountingJob.result)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: place.at("out")) == place.at("real"))
    }

    @Test(arguments: [
        ("model", PathRelation.same), ("model/", .same), ("x/../model", .same), ("link", .same), ("./model", .same),
        ("model/out", .inside), ("link/deep/out", .inside), (".", .contains), ("model/..", .contains),
    ])
    func anOutputThatTouchesTheInputIsRefusedAlways(name: String, relation: PathRelation) throws {
        try place.write("w", to: "model/weights")
        try place.write("", to: "x/file")
        try FileManager.default.createSymbolicLink(atPath: place.at("link"), withDestinationPath: place.at("model"))
        let before = try place.content()
        let request = OutputRequest(place.at(name), inputs: [place.at("model")], force: true)
        let expected = JobError.outputTouchesInput(output: place.at(name), input: place.at("model"), relation: relation)
        #expect(throws: expected) { _ = try CountingJob(request: request).run() }
        #expect(try place.content() == before)
    }

    @Test func aNameThatOnlyStartsLikeTheInputIsNoTouch() throws {
        try place.write("w", to: "model/weights")
        try OutputRequest(place.at("model2"), inputs: [place.at("model")]).validate()
        try OutputRequest(place.at("mode"), inputs: [place.at("model")]).validate()
    }

    @Test func anOutputThatWasPutAsideReturns() throws {
        try place.write("mine", to: ".out.lowrank-previous/notes")
        try place.write("junk", to: ".out.lowrank-trash/units/x")
        #expect(CountingJob(request: request()).failure()?.code == .usage)
        #expect(try place.content() == ["out/notes": "mine"])
    }
}
