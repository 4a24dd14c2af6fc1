import Checkpoints
import CommandLineKit
import Foundation
import Jobs
import Kernels
import Models
import Planning
import Safetensors
import Synchronization
import Testing

/// Recovery as a job: what it makes better, leaves alone, resumes and refuses.
struct RecoverJobTests {
    private let place: Workplace
    private static let model = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/tiny-llama").path
    private static let text = model + "/calibration.txt"

    init() throws { place = try Workplace() }

    /// The fixture in another form, made once for each test.
    private func compress(
        _ method: String = "svd", _ values: [String: String] = [:], target: Target = .keep(0.5)
    ) throws -> String {
        let name = "compressed-\(method)"
        var request = CompressionRequest(checkpoint: Self.model, output: place.at(name), target: target)
        request.method = method
        request.settings.values = values
        request.settings.storage = method == "svd" ? .pivot : .factors
        try CompressJob(request).run()
        return place.at(name)
    }

    private func request(_ checkpoint: String, _ output: String, samples: Int = 16) -> RecoveryRequest {
        var request = RecoveryRequest(
            checkpoint: checkpoint, reference: Self.model,
            source: SequenceSource(.text([Self.text]), context: 48, samples: samples), output: place.at(output))
        request.stages = RecoveryStage.allCases
        request.training.blockEpochs = 1
        request.training.epochs = 2
        request.training.tokensPerStep = 200
        return request
    }

    private func loss(_ folder: String) throws -> Double {
        let source = SequenceSource(.text([Self.model + "/heldout.txt"]), context: 64, samples: 12)
        let result = try EvalJob(checkpoint: folder, source: source, library: MethodRegistry.library).run()
        return try #require(result.text?.perplexity?.loss)
    }

    private func weights(_ name: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: place.at(name) + "/model.safetensors"))
    }

    private func shapes(_ folder: String) throws -> [String] {
        try Checkpoint(path: folder).tensors.map { "\($0.name) \($0.dtype) \($0.shape)" }
    }

    private func failure(_ request: RecoveryRequest) -> Failure? {
        do {
            _ = try RecoverJob(request).run()
            return nil
        } catch {
            return Failure(explaining: error)
        }
    }

    @Test(arguments: [
        ("svd", [:]), ("tucker", ["tucker-group": "matrix"]), ("tt", [:]), ("saten", [:]),
        ("mixt", ["mixt-branches": "3"]),
    ])
    func recoveredModelsPredictBetterInTheSameShapes(method: String, values: [String: String]) throws {
        let compressed = try compress(method, values, target: method == "mixt" ? .options : .keep(0.5))
        let report = try RecoverJob(request(compressed, "out", samples: 48)).run()
        let recovered = place.at("out")
        #expect(try loss(recovered) < loss(compressed))
        #expect(try shapes(recovered) == shapes(compressed))
        #expect(try VerifyJob(output: recovered, checkpoint: Self.model).run().isWithinTolerance)
        let stages = try #require(report.json["recovery"]?["stages"]?.array)
        for stage in stages {
            let before = try #require(stage["loss_before"]?.double), after = try #require(stage["loss_after"]?.double)
            #expect(after <= before)
        }
        let network = try #require(stages.last)
        #expect(network["stage"]?.string == "network")
        let earlier = try JSON.parse(file: compressed + "/report.json")
        #expect(report.json["totals"]?["parameters"]?.int == earlier["totals"]?["parameters"]?.int)
        #expect(report.json["tensors"]?.array?.count == earlier["tensors"]?.array?.count)
    }

    @Test(arguments: [
        ("svd", [:]), ("svd", ["share-layers": "2"]), ("tucker", [:]), ("tucker", ["tucker-group": "heads"]),
        ("tt", [:]), ("saten", [:]), ("mixt", ["mixt-branches": "3"]),
    ])
    func solversByThemselvesLowerTheErrorsOfMatrices(method: String, values: [String: String]) throws {
        let compressed = try compress(method, values, target: method == "mixt" ? .options : .keep(0.5))
        var request = request(compressed, "out", samples: 24)
        request.stages = [.layers]
        let report = try RecoverJob(request).run()
        let matrices = try #require(report.json["recovery"]?["matrices"]?.array)
        #expect(matrices.count == 35)
        for matrix in matrices {
            #expect(try #require(matrix["error_after"]?.double) <= #require(matrix["error_before"]?.double))
        }
        let better = matrices.count { ($0["error_after"]?.double ?? 1) < 0.999 * ($0["error_before"]?.double ?? 0) }
        #expect(better > matrices.count / 2, "\(better) of \(matrices.count)")
        #expect(try loss(place.at("out")) < loss(compressed))
    }

    /// Steps far too large, even so large that numbers overflow, cost time and never the model.
    @Test(arguments: [20, 1e30])
    func ratesThatDivergeLeaveTheModelNoWorse(rate: Double) throws {
        let compressed = try compress()
        var request = request(compressed, "out", samples: 24)
        request.stages = [.network]
        request.training.epochs = 3
        request.training.rate = rate
        let report = try RecoverJob(request).run()
        let stage = try #require(report.json["recovery"]?["stages"]?.array?.first)
        #expect(try #require(stage["loss_after"]?.double) <= #require(stage["loss_before"]?.double))
        let first = stage["losses"]?[1]?.double ?? .infinity
        #expect(try first > #require(stage["loss_before"]?.double), "the rate should have been too large")
        #expect(try loss(place.at("out")) <= loss(compressed))
    }

    @Test func anyNumberOfThreadsGivesTheSameBytes() throws {
        let compressed = try compress()
        let before = Threads.count
        defer { Threads.count = before }
        Threads.count = 1
        _ = try RecoverJob(request(compressed, "one")).run()
        Threads.count = 3
        _ = try RecoverJob(request(compressed, "three")).run()
        #expect(try weights("one") == weights("three"))
    }

    /// Stopped in a block, between blocks and, counted from the end, in both epochs of the network.
    @Test(arguments: [0.1, 0.4, 0.7, -7, -3])
    func stoppedRunsGoOnToTheSameBytes(place share: Double) throws {
        let compressed = try compress()
        let asked = Mutex(0)
        _ = try RecoverJob(request(compressed, "whole")).run(
            interruption: Interruption {
                asked.withLock { $0 += 1 }
                return false
            })
        let all = Double(asked.withLock { $0 })
        let last = Int(share > 0 ? share * all : all + share)
        asked.withLock { $0 = 0 }
        #expect(throws: JobError.self) {
            try RecoverJob(request(compressed, "out")).run(
                interruption: Interruption {
                    asked.withLock { asked in
                        asked += 1
                        return asked > last
                    }
                })
        }
        var resumed = request(compressed, "out")
        resumed.resume = true
        let report = try RecoverJob(resumed).run()
        #expect(try weights("out") == weights("whole"))
        let whole = try JSON.parse(file: place.at("whole") + "/report.json")
        #expect(report.json["recovery"]?["stages"] == whole["recovery"]?["stages"])
        #expect(report.json["tensors"] == whole["tensors"])
    }

    @Test func whatCannotBeRecoveredIsRefused() throws {
        let compressed = try compress()
        #expect(failure(request(Self.model, "out"))?.message.contains("nothing in it is compressed") == true)
        var other = request(compressed, "out")
        other.reference = Self.model.replacingOccurrences(of: "tiny-llama", with: "tiny-gpt2")
        #expect(failure(other)?.message.contains("is not the model") == true)
        #expect(failure(other)?.code == .badInput)
        #expect(failure(request(compressed, "out", samples: 1))?.code == .usage)
        var same = request(compressed, "out")
        same.output = compressed
        same.force = true
        #expect(failure(same)?.code == .usage)
        #expect(!place.exists("out"))
    }
}
