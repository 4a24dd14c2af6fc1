import Checkpoints
import CommandLineKit
import CompressionCore
import Foundation
import Jobs
import Kernels
import MatrixCore
import Models
import Planning
import Safetensors
import Statistics
import Testing

/// Experts and groups in sequence, against a forward pass in plain loops: every matrix is the best that its own numbers
/// can make of what the compressed network gives it, and the report says how good that is.
struct SequentialGroupsTests {
    private let place: Workplace

    init() throws { place = try Workplace() }

    private static let sequences: [[Int32]] = (0..<30).map { number in
        let random = CounterRandom(seed: UInt64(100 + number))
        return (0..<(4 + number % 9)).map { Int32(random.integer($0, below: NaiveNetwork.vocabulary)) }
    }

    private func source() throws -> SequenceSource {
        let lists = Self.sequences.map { "[" + $0.map(String.init).joined(separator: ",") + "]" }
        let file = try place.write("[" + lists.joined(separator: ",") + "]", to: "tokens.json")
        return SequenceSource(.tokens(file), division: .documents(separator: "-"), bos: .never)
    }

    private func model(isMixture: Bool) throws -> String {
        let folder = place.at(isMixture ? "mixture" : "llama")
        if !FileManager.default.fileExists(atPath: folder) {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try NaiveNetwork.write(to: folder, isMixture: isMixture)
        }
        return folder
    }

    private func request(
        _ model: String, _ method: String, _ values: [String: String], statistics: Bool
    ) throws -> CompressionRequest {
        var request = CompressionRequest(checkpoint: model, output: place.at("out"), target: .keep(0.6))
        request.method = method
        request.settings.values = values
        request.force = true
        request.objective.text = try source()
        request.objective.insistsOnSequence = true
        if statistics {
            var calibration = CalibrationRequest(checkpoint: model, source: try source(), output: place.at("stats"))
            calibration.gradients = .never
            calibration.force = true
            _ = try CalibrateJob(calibration).run()
            request.objective.statistics = place.at("stats")
        }
        return request
    }

    /// A matrix with what both networks give it over all sequences, and its part of the report.
    private struct Place {
        let module: String
        let weight: NaiveNetwork.Rows
        let found: NaiveNetwork.Rows
        /// D + W X, as the rows of tokens.
        var wanted: NaiveNetwork.Rows
        let seen: NaiveNetwork.Rows
        let norm: Double
        let shift: Double
        let reported: Double
    }

    private func places(_ model: String, _ output: String) throws -> [Place] {
        let dense = place.at("dense")
        try ReconstructJob(input: output, output: dense, precision: .f32, force: true).run()
        let before = try NaiveNetwork(model), after = try NaiveNetwork(dense)
        let traces = Self.sequences.map { tokens in
            let seen = after.run(tokens)
            return (before.run(tokens, routes: before.isMixture ? seen.routes : nil), seen)
        }
        let report = try JSON.parse(file: output + "/report.json")
        return try (report["tensors"]?.array ?? []).compactMap { line in
            guard let name = line["name"]?.string, let reported = line["sequential_error"]?.double else { return nil }
            let module = String(name.dropLast(".weight".count))
            let weight = try #require(before.weights[module + ".weight"])
            let x = traces.flatMap { $0.0.inputs[module] ?? [] }, seen = traces.flatMap { $0.1.inputs[module] ?? [] }
            #expect(x.count == seen.count)
            let outputs = x.map { Self.product(weight, $0) }
            var wanted = outputs
            if before.run([0]).residuals[module] != nil {
                let h = traces.flatMap { $0.0.residuals[module] ?? [] }
                let g = traces.flatMap { $0.1.residuals[module] ?? [] }
                wanted = wanted.indices.map { token in
                    wanted[token].indices.map { wanted[token][$0] + h[token][$0] - g[token][$0] }
                }
            }
            return Place(
                module: module, weight: weight, found: try #require(after.weights[module + ".weight"]), wanted: wanted,
                seen: seen, norm: Self.norm(outputs), shift: try Self.shift(seen, weight[0].count), reported: reported)
        }
    }

    /// What is added to the diagonal of the moment of so few tokens.
    private static func shift(_ seen: NaiveNetwork.Rows, _ features: Int) throws -> Double {
        let moments = InputMoments(features: features)
        let rows = Matrix(rows: seen.count, columns: features) { Float(seen[$0][$1]) }
        if !seen.isEmpty { moments.add(rows.view) }
        return try moments.metric(leastRidge: 1e-4).shift
    }

    private static func product(_ w: NaiveNetwork.Rows, _ x: [Double]) -> [Double] {
        w.map { row in zip(row, x).reduce(0) { $0 + $1.0 * $1.1 } }
    }

    private static func norm(_ rows: NaiveNetwork.Rows) -> Double {
        rows.reduce(0) { $0 + $1.reduce(0) { $0 + $1 * $1 } }.squareRoot()
    }

    /// The cosine between the slope of a matrix's error and the way that it goes when its own numbers change: 0 at the
    /// best choice of these numbers.
    private func slope(
        _ place: Place, _ compressed: any LinearOperator, own: (OperatorTensor, Int) -> Bool
    ) throws -> Double {
        // (D + W X − W' X̂) X̂ᵀ + δ (W − W'): what was added to the diagonal holds the matrix at its weight.
        var slope = place.weight.indices.map { i in
            place.weight[i].indices.map { place.shift * (place.weight[i][$0] - place.found[i][$0]) }
        }
        for (wanted, seen) in zip(place.wanted, place.seen) {
            let given = Self.product(place.found, seen)
            for i in slope.indices {
                for j in slope[i].indices { slope[i][j] += (wanted[i] - given[i]) * seen[j] }
            }
        }
        var changed: [[String: StoredTensor]] = [[:], [:]]
        for (number, tensor) in compressed.tensors.enumerated() where !tensor.isIndex {
            var values = tensor.tensor.array(of: Float.self)
            let start = values, random = CounterRandom(seed: UInt64(7 + number))
            for (side, sign) in [Float(1), -1].enumerated() {
                for index in values.indices where own(tensor, index) {
                    values[index] = start[index] + sign * 1e-3 * Float(random.normal(index))
                }
                changed[side][tensor.fullName(in: place.module)] = StoredTensor(
                    values, dtype: .f32, shape: tensor.tensor.shape)
            }
        }
        let up = try compressed.replacing(module: place.module, changed[0]).reconstruct()
        let down = try compressed.replacing(module: place.module, changed[1]).reconstruct()
        var inner = 0.0, squares = (slope: 0.0, way: 0.0)
        for i in slope.indices {
            for j in slope[i].indices {
                let way = Double(up[i, j]) - Double(down[i, j])
                inner += slope[i][j] * way
                squares.slope += slope[i][j] * slope[i][j]
                squares.way += way * way
            }
        }
        return abs(inner) / max((squares.slope * squares.way).squareRoot(), 1e-300)
    }

    /// Which numbers of an operator are its own, by their place in the tensor.
    private func isOwn(_ compressed: any LinearOperator, _ entry: JSONObject) -> (OperatorTensor, Int) -> Bool {
        { tensor, index in
            if tensor.scope == .module { return true }
            guard tensor.name.hasSuffix(".core"), let slice = entry["slice"]?.int else { return false }
            let shape = tensor.tensor.shape
            // Of attention the projections are the last axis of the core, of layers and experts the members the first.
            return entry["heads"] != nil ? index % shape[3] == slice : index / (shape[1] * shape[2]) == slice
        }
    }

    private func check(_ model: String, _ request: CompressionRequest, atLeast count: Int) throws {
        try CompressJob(request).run()
        let checkpoint = try Checkpoint(path: request.output)
        let places = try places(model, request.output)
        #expect(places.count >= count)
        for place in places {
            let error = Self.norm(
                zip(place.wanted, place.seen).map { wanted, seen in
                    zip(wanted, Self.product(place.found, seen)).map { $0 - $1 }
                })
            if place.norm > 0 {
                #expect(abs(error / place.norm - place.reported) < 1e-3 * (1 + place.reported), "\(place.module)")
            }
            let entry = try #require(checkpoint.compressedModules.first { $0.name == place.module })
            let compressed = try checkpoint.compressedOperator(of: entry)
            let slope = try slope(place, compressed, own: isOwn(compressed, compressed.entry))
            #expect(slope < 2e-3, "\(place.module): \(slope)")
        }
    }

    /// Per-expert matrices: 24 of attention and 36 of experts.
    @Test func expertsAreFittedToTheTokensOfTheCompressedRouter() throws {
        let model = try model(isMixture: true)
        try check(model, request(model, "svd", [:], statistics: false), atLeast: 40)
    }

    @Test(arguments: [
        ("svd", ["svd-group": "experts", "share-projections": "all"]), ("tucker", ["tucker-group": "experts"]),
    ])
    func expertsThatShareAreFittedEachToItsOwn(method: String, options: [String: String]) throws {
        let model = try model(isMixture: true)
        try check(model, request(model, method, options, statistics: false), atLeast: 30)
    }

    @Test(arguments: [
        ("tucker", ["tucker-group": "heads"], false), ("tucker", ["tucker-group": "layers"], true),
        ("svd", ["share-layers": "2"], true),
    ])
    func matricesOfGroupsAreFittedWhereTheyStand(method: String, options: [String: String], statistics: Bool) throws {
        let model = try model(isMixture: false)
        try check(model, request(model, method, options, statistics: statistics), atLeast: 15)
    }

    /// Experts over several layers, with what all of them read from statistics.
    @Test func expertsOfSeveralLayersAreFittedWhereTheyStand() throws {
        let model = try model(isMixture: true)
        try check(model, request(model, "svd", ["share-layers": "3"], statistics: true), atLeast: 40)
    }

    /// Without statistics nothing is known of later layers.
    @Test func groupsOverLayersNeedStatistics() throws {
        let model = try model(isMixture: false)
        let request = try request(model, "svd", ["share-layers": "2"], statistics: false)
        let failure = #expect(throws: JobError.self) { try CompressJob(request).run() }
        #expect("\(try #require(failure))".contains("give --stats too"))
    }
}
