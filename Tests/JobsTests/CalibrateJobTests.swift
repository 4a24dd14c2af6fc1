import Checkpoints
import CommandLineKit
import Foundation
import Jobs
import Kernels
import Models
import Safetensors
import Statistics
import Testing

/// Calibration as a job: what it writes, adds, resumes and refuses.
struct CalibrateJobTests {
    private let place: Workplace
    private static let model = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/tiny-llama").path

    init() throws { place = try Workplace() }

    /// Documents, so that the sequences of two texts are those of both together.
    private func request(_ output: String, _ texts: [String]) throws -> CalibrationRequest {
        let text = texts.joined(separator: "\n***\n")
        let file = try place.write(text, to: "text-\(output).txt")
        let source = SequenceSource(.text([file]), context: 40, division: .documents(separator: "***"))
        return CalibrationRequest(checkpoint: Self.model, source: source, output: place.at(output))
    }

    private static let texts = [
        "Salu is a small boat on the river.", "The rain came, and nobody went out that day.", "One",
        "A long way from home there was a garden with a wall, a gate and an old tree.",
    ]

    /// Everything but the notes of the runs.
    private func tensors(_ name: String) throws -> [String: [UInt8]] {
        let file = try SafetensorsFile(path: place.at(name))
        return Dictionary(
            uniqueKeysWithValues: try file.tensors.map { ($0.name, try file.bytes(of: $0.name).array(of: UInt8.self)) })
    }

    private func content(_ name: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: place.at(name)))
    }

    private func failure(_ request: CalibrationRequest) -> Failure? {
        do {
            _ = try CalibrateJob(request).run()
            return nil
        } catch {
            return Failure(explaining: error)
        }
    }

    @Test func momentsAreThoseOfAPlainForwardPass() throws {
        let request = try request("stats", Self.texts)
        let result = try CalibrateJob(request).run()
        let model = try Model(Checkpoint(path: Self.model), library: MethodRegistry.library)
        let sequences = try request.source.sequences(folder: Self.model, model: model).sequences
        let sums = Dictionary(uniqueKeysWithValues: model.inputs.map { ($0, InputMoments(features: $0.features)) })
        let state = model.makeState(.onePass)
        state.observer = MomentRecorder(sums)
        for sequence in sequences {
            state.restart()
            _ = try model.logits(of: model.hiddenStates(of: sequence, state), state)
        }
        let statistics = try ActivationStatistics(path: place.at("stats"))
        #expect(statistics.header.inputs == model.inputs)
        for input in model.inputs {
            let found = try statistics.moments(of: input), expected = try #require(sums[input])
            #expect(found.moment == expected.moment)
            #expect(found.absoluteSums == expected.absoluteSums)
            #expect(found.tokens == expected.tokens)
        }
        #expect(result.run.windows == Self.texts.count)
        #expect(result.run.tokens == sequences.reduce(0) { $0 + $1.count })
    }

    /// The smallest memory that holds one input at a time, and enough for two.
    @Test func lessMemoryGivesTheSameBytes() throws {
        var whole = try request("whole", Self.texts)
        whole.gradients = .always
        _ = try CalibrateJob(whole).run()
        let largest = InputMoments.bytes(features: 352)
        for (index, memory) in [largest, largest + InputMoments.bytes(features: 128)].enumerated() {
            var request = try request("part\(index)", Self.texts)
            request.memoryBytes = memory
            request.gradients = .always
            _ = try CalibrateJob(request).run()
            #expect(try content("part\(index)") == content("whole"))
        }
        var request = try request("none", Self.texts)
        request.memoryBytes = largest - 1
        let failure = failure(request)
        #expect(failure?.code == .usage)
        #expect(failure?.message.contains("mlp.down_proj") == true)
    }

    @Test func anyNumberOfThreadsGivesTheSameBytes() throws {
        let before = Threads.count
        defer { Threads.count = before }
        for threads in [1, 2, 3] {
            Threads.count = threads
            _ = try CalibrateJob(try request("threads\(threads)", Self.texts)).run()
        }
        #expect(try content("threads2") == content("threads1"))
        #expect(try content("threads3") == content("threads1"))
    }

    // MARK: Adding

    @Test func appendingIsOneRunOverBothTexts() throws {
        _ = try CalibrateJob(try request("both", Self.texts)).run()
        var first = try request("added", Array(Self.texts[..<2]))
        first.appends = true  // Nothing to add to yet.
        _ = try CalibrateJob(first).run()
        var second = try request("added", Array(Self.texts[2...]))
        second.appends = true
        let result = try CalibrateJob(second).run()
        #expect(result.header.runs.count == 2)
        #expect(try tensors("added") == tensors("both"))
    }

    @Test func mergingIsOneRunOverBothTextsButForRounding() throws {
        _ = try CalibrateJob(try request("both", Self.texts)).run()
        _ = try CalibrateJob(try request("a", Array(Self.texts[..<2]))).run()
        _ = try CalibrateJob(try request("b", Array(Self.texts[2...]))).run()
        let job = StatisticsMergeJob(inputs: [place.at("a"), place.at("b")], output: place.at("merged"))
        #expect(try job.run().header.runs.count == 2)
        let merged = try ActivationStatistics(path: place.at("merged"))
        let both = try ActivationStatistics(path: place.at("both"))
        for input in both.header.inputs {
            let expected = try both.moments(of: input), found = try merged.moments(of: input)
            #expect(found.tokens == expected.tokens)
            let scale = (0..<input.features).reduce(0) { max($0, expected.moment[$1, $1]) }
            let difference = zip(found.moment.elements, expected.moment.elements).map { abs($0 - $1) }.max() ?? 1
            #expect(difference <= 1e-14 * scale)
        }
    }

    @Test func whatDoesNotFitIsNotAddedTo() throws {
        _ = try CalibrateJob(try request("stats", Self.texts)).run()
        var other = try request("stats", Self.texts)
        #expect(failure(other)?.code == .usage)  // The output exists.
        other.appends = true
        other.precision = .f32
        #expect(failure(other)?.code == .usage)
        other.precision = nil
        other.checkpoint = place.at("changed")
        try FileManager.default.copyItem(atPath: Self.model, toPath: other.checkpoint)
        var config = try JSON.parse(file: other.checkpoint + "/config.json")
        config["rms_norm_eps"] = 0.01
        try config.text(pretty: true).write(
            toFile: other.checkpoint + "/config.json", atomically: true, encoding: .utf8)
        let failure = failure(other)
        #expect(failure?.code == .badInput)
        #expect(failure?.message.contains("another model") == true)
    }

    // MARK: Going on

    /// Stopped before some of the 20 windows (4 in each of 5 layers), then continued.
    @Test func aStoppedRunGoesOnToTheSameBytes() throws {
        _ = try CalibrateJob(try request("whole", Self.texts)).run()
        for stop in stride(from: 0, to: 20, by: 3) {
            var request = try request("stopped", Self.texts)
            request.source.input = .text([place.at("text-whole.txt")])
            request.force = true
            let asked = Countdown(stop)
            #expect(throws: JobError.self) {
                try CalibrateJob(request).run(interruption: Interruption { asked.isOver() })
            }
            request.resume = true
            _ = try CalibrateJob(request).run()
            #expect(try content("stopped") == content("whole"))
            try FileManager.default.removeItem(atPath: place.at("stopped"))
        }
    }
}

/// Says no so many times, then yes.
private final class Countdown: @unchecked Sendable {
    private var left: Int

    init(_ count: Int) { left = count }

    func isOver() -> Bool {
        left -= 1
        return left < 0
    }
}
