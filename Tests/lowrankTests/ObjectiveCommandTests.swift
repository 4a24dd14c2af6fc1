import CompressionCore
import Checkpoints
import Foundation
import MatrixCore
import Safetensors
import Statistics
import Testing

/// Compression by activations and gradients, as a shell sees it.
struct ObjectiveCommandTests {
    private let folder: ModelFolder
    private static let model = ModelFolder.fixture

    init() throws { folder = try ModelFolder() }

    private func calibrate(_ name: String = "stats", _ more: [String] = ["--samples", "16"]) throws -> String {
        let run = try ProgramRun.of(
            ["calibrate", Self.model, "--text", Self.model + "/calibration.txt", "-o", folder.at(name), "-q"] + more)
        #expect(run.code == 0, "\(run.errors)")
        return folder.at(name)
    }

    /// Mean squared gradients that no one has taken: any positive numbers do.
    private func writeFisher(_ name: String, without: String? = nil, negative: Bool = false) throws -> String {
        let weights = try Checkpoint(path: Self.model).linearModules.filter { $0.weightName != without }
        let writer = try SafetensorsWriter(
            path: folder.at(name),
            tensors: weights.map {
                TensorDeclaration(name: $0.weightName, dtype: .f32, shape: [$0.outFeatures, $0.inFeatures])
            })
        for (index, weight) in weights.enumerated() {
            let random = CounterRandom(seed: UInt64(index))
            let squares = (0..<weight.parameters).map { place in
                let gradient = random.normal(place) * Double(1 + place / weight.inFeatures % 5)
                return Float(negative ? -gradient * gradient : gradient * gradient)
            }
            try squares.withUnsafeBytes { try writer.append($0, to: weight.weightName) }
        }
        try writer.finish()
        return folder.at(name)
    }

    // MARK: What the objectives do

    /// Truncation in a metric is the best of its rank in it, so no other objective may be better by its measure.
    @Test func everyObjectiveIsTheBestByItsOwnMeasure() throws {
        let stats = try calibrate(), fisher = try writeFisher("gradients")
        let kinds = ["weights", "activations", "asvd", "fisher"]
        for kind in kinds {
            var words = ["compress", Self.model, "-o", folder.at(kind), "--rank", "20", "--objective", kind, "-q"]
            words += ["--include", "layers.2.", "--storage", "factors", "--factor-dtype", "f32"]
            words += kind == "fisher" ? ["--fisher", fisher] : kind == "weights" ? [] : ["--stats", stats]
            let run = try ProgramRun.of(words)
            #expect(run.code == 0, "\(run.errors)")
            #expect(try folder.report(of: kind)["options"]?["objective"]?.string == kind)
        }
        let source = try Checkpoint(path: Self.model)
        let statistics = try ActivationStatistics(path: stats), gradients = try SafetensorsFile(path: fisher)
        for module in source.linearModules where module.layer == 2 {
            let weight = try source.operand(of: module)
            let mean = try #require(try statistics.meanAbsolute(for: module.name))
            let squares = try gradients.operand(of: module.weightName)
            let sums = (0..<squares.rows).map { row in (0..<squares.columns).reduce(0.0) { $0 + squares[row, $1] } }
            let measures: [String: Objective] = [
                "weights": Objective(target: weight),
                "activations": Objective(
                    target: weight, inputs: .gram(try #require(try statistics.gram(for: module.name)))),
                "asvd": Objective(target: weight, inputs: .diagonal(mean.map { $0.squareRoot() })),
                "fisher": Objective(target: weight, outputs: .diagonal(sums.map { $0.squareRoot() })),
            ]
            for (kind, measure) in measures {
                var errors: [String: Double] = [:]
                for made in kinds { errors[made] = measure.relativeError(of: try compressed(module.name, in: made)) }
                let own = try #require(errors[kind])
                for (made, error) in errors where made != kind {
                    #expect(own < error, "\(module.name) \(kind) \(made)")
                }
            }
        }
    }

    private func compressed(_ module: String, in output: String) throws -> any LinearOperator {
        let file = try SafetensorsFile(path: folder.at(output) + "/model.safetensors")
        let b = try file.operand(of: module + ".BLinear.weight"), a = try file.operand(of: module + ".ALinear.weight")
        var product = Matrix(rows: a.rows, columns: b.columns)
        for i in 0..<a.rows {
            for k in 0..<b.rows {
                let factor = Float(a[i, k])
                for j in 0..<b.columns { product[i, j] += factor * Float(b[k, j]) }
            }
        }
        return DenseOperator(weight: MatrixOperand(product))
    }

    /// Of every matrix, and below that of the plain objective at the same rank. There are more than ten tokens a
    /// feature, so nothing is added to a moment.
    @Test func theReportHasActivationErrors() throws {
        let stats = try calibrate()
        var errors: [[Double]] = []
        for kind in ["activations", "weights"] {
            let run = try ProgramRun.of([
                "compress", Self.model, "-o", folder.at(kind), "--keep", "0.5", "--stats", stats, "--objective", kind,
                "--storage", "factors", "-q",
            ])
            #expect(run.code == 0, "\(run.errors)")
            let tensors = try #require(try folder.report(of: kind)["tensors"]?.array)
            #expect(tensors.allSatisfy { $0["shift"]?.double == (kind == "activations" ? 0 : nil) })
            errors.append(tensors.compactMap { $0["activation_error"]?.double })
            #expect(errors.last?.count == 35)
        }
        #expect(zip(errors[0], errors[1]).allSatisfy { $0 < $1 })
        #expect(try ProgramRun.of(["verify", folder.at("activations"), "--against", Self.model, "-q"]).code == 0)
    }

    @Test func statisticsMakeActivationsAndPivotsTheDefault() throws {
        let run = try ProgramRun.of([
            "compress", Self.model, "-o", folder.at("out"), "--keep", "0.5", "--stats", try calibrate(), "-q",
        ])
        #expect(run.code == 0, "\(run.errors)")
        let options = try folder.report(of: "out")["options"]
        #expect(options?["objective"]?.string == "activations" && options?["storage"]?.string == "pivot")
    }

    /// Fewer tokens than features: the moments are singular, the result is not refused and says so.
    @Test func fewTokensAreWarnedOfAndStillWork() throws {
        let stats = try calibrate("few", ["--samples", "1", "--context", "50"])
        let run = try ProgramRun.of(["compress", Self.model, "-o", folder.at("out"), "--keep", "0.5", "--stats", stats])
        #expect(run.code == 0, "\(run.errors)")
        #expect(run.errors.contains("rank at most 50 of 128"))
        let tensors = try #require(try folder.report(of: "out")["tensors"]?.array)
        #expect(tensors.allSatisfy { ($0["shift"]?.double ?? 0) > 0 && $0["activation_error"]?.double != nil })
    }

    // MARK: What is refused

    @Test func wrongRequestsAndFilesEndWithTheirCodes() throws {
        let stats = try calibrate(), fisher = try writeFisher("fisher")
        let copy = try folder.copyOfFixture("other")
        var config = try JSON.parse(file: copy + "/config.json")
        config["rms_norm_eps"] = 0.01
        try config.text(pretty: true).write(toFile: copy + "/config.json", atomically: true, encoding: .utf8)
        let odd = "model.layers.3.mlp.up_proj.weight"
        let cases: [([String], Int32, String)] = [
            (["--objective", "activations"], 2, "needs --stats"), (["--objective", "asvd"], 2, "needs --stats"),
            (["--objective", "fisher"], 2, "needs --fisher"), (["--objective", "kl"], 2, "weights, activations"),
            (["--objective", "weights", "--fisher", fisher], 2, "does not use --fisher"),
            (["--stats", folder.at("none")], 3, "none"), (["--stats", fisher], 3, "no file of activation statistics"),
            (["--fisher", try writeFisher("short", without: odd)], 3, odd),
            (["--fisher", try writeFisher("negative", negative: true)], 3, "add up to"),
        ]
        for (words, code, message) in cases {
            let run = try ProgramRun.of(["compress", Self.model, "-o", folder.at("out"), "--keep", "0.5"] + words)
            #expect(run.code == code, "\(words): \(run.errors)")
            #expect(run.errors.contains(message), "\(words): \(run.errors)")
        }
        for more in [[], ["--dry-run"]] {
            let other = try ProgramRun.of(
                ["compress", copy, "-o", folder.at("out"), "--keep", "0.5", "--stats", stats] + more)
            #expect(other.code == 3)
            #expect(other.errors.contains("another model"))
        }
    }

    // MARK: Published figures

    private static let data =
        ProcessInfo.processInfo.environment["LOWRANK_DATA"]
        ?? ModelFolder.packageRoot.deletingLastPathComponent().appendingPathComponent("shared/data").path

    /// The whitened SVD of stories260K, against figures that PyTorch gave for the same protocol.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: data), "needs shared/data"))
    func whitenedTruncationHasThePerplexityOfTheReference() throws {
        let model = Self.data + "/stories260K", documents = ["--documents", "<|endoftext|>", "-q"]
        let made = try ProgramRun.of(
            ["calibrate", model, "--text", Self.data + "/text/tinystories.calib.txt", "--samples", "256", "-o",
                folder.at("stats")] + documents)
        #expect(made.code == 0, "\(made.errors)")
        for (keep, perplexity) in [("0.9", 17.24), ("0.8", 30.25), ("0.6", 125.8)] {
            let run = try ProgramRun.of([
                "compress", model, "-o", folder.at(keep), "--keep", keep, "--stats", folder.at("stats"), "--storage",
                "factors", "-q",
            ])
            #expect(run.code == 0, "\(run.errors)")
            let evaluated = try ProgramRun.of(
                ["eval", folder.at(keep), "--text", Self.data + "/text/tinystories.eval.txt", "--json"] + documents)
            let found = try #require(try JSON.parse(evaluated.output)["perplexity"]?.double)
            #expect(abs(found / perplexity - 1) < 0.002)
        }
    }
}
