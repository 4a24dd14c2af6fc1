import CommandLineKit
import Foundation
import Jobs
import Models
import Planning
import Safetensors
import Testing

/// Targets divided over experts that share, whatever says what their errors count.
struct GroupAllocationTests {
    private let place: Workplace

    init() throws { place = try Workplace() }

    enum Weighing: CaseIterable {
        /// Relative errors, by how often experts are chosen.
        case relative
        /// Costs in predictions, by the gradients of each expert.
        case costs
        /// Sensitivities of whole groups.
        case measured
    }

    private func request(
        _ weighing: Weighing, _ method: String, _ values: [String: String]
    ) throws -> CompressionRequest {
        let model = place.at("model")
        if !FileManager.default.fileExists(atPath: model) {
            try FileManager.default.createDirectory(atPath: model, withIntermediateDirectories: true)
            try NaiveNetwork.write(to: model, isMixture: true)
        }
        let lists = (0..<20).map { number in (0..<12).map { "\(($0 * $0 + 7 * number) % 30)" }.joined(separator: ",") }
        let tokens = try place.write("[" + lists.map { "[\($0)]" }.joined(separator: ",") + "]", to: "tokens.json")
        let source = SequenceSource(.tokens(tokens), division: .documents(separator: "-"), bos: .never)
        var calibration = CalibrationRequest(checkpoint: model, source: source, output: place.at("stats"))
        calibration.gradients = .always
        calibration.force = true
        _ = try CalibrateJob(calibration).run()
        var request = CompressionRequest(checkpoint: model, output: place.at("out"), target: .keep(0.6))
        request.method = method
        request.settings.values = values
        request.force = true
        request.objective.statistics = place.at("stats")
        request.objective.kind = weighing == .costs ? .kfac : .activations
        request.allocation = .init(rule: .greedy, text: weighing == .measured ? source : nil)
        return request
    }

    @Test(
        arguments: Weighing.allCases,
        [
            ("svd", ["svd-group": "experts"]), ("svd", ["svd-group": "experts", "share-projections": "all"]),
            ("svd", ["share-layers": "3"]), ("tucker", ["tucker-group": "experts"]),
        ])
    func targetsAreMet(weighing: Weighing, form: (method: String, values: [String: String])) throws {
        let request = try request(weighing, form.method, form.values)
        try CompressJob(request).run()
        let report = try JSON.parse(file: request.output + "/report.json")
        let kept = try #require(report["totals"]?["keep_compressed"]?.double)
        // A step of a stack of such small experts is more numbers than half a percent of the model.
        #expect(kept <= 0.6 && kept > (form.method == "tucker" ? 0.594 : 0.595), "\(kept)")
        // Not every group has the same share.
        let tensors = report["tensors"]?.array ?? []
        let ranks = Set(tensors.compactMap { $0["rank"]?.int ?? $0["ranks"]?.array?.last?.int })
        #expect(ranks.count > 1)
        _ = try VerifyJob(output: request.output, checkpoint: request.checkpoint).run()
    }

    /// The search measures groups as they are used, in sequence, and repeats itself.
    @Test func theSearchTakesGroups() throws {
        var request = try request(.measured, "svd", ["svd-group": "experts"])
        request.allocation.rule = .perplexity
        request.allocation.searchEvaluations = 6
        request.objective.text = request.allocation.text
        try CompressJob(request).run()
        let first = try Data(contentsOf: URL(fileURLWithPath: place.at("out") + "/model.safetensors"))
        try CompressJob(request).run()
        #expect(try Data(contentsOf: URL(fileURLWithPath: place.at("out") + "/model.safetensors")) == first)
    }
}
