import Foundation
import Safetensors
import Testing

/// Every method by the same commands: compress, verify, reconstruct, eval, and counts from the files alone.
struct MethodCommandTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    static let methods = [
        "svd", "svd --storage pivot", "mixt", "saten", "saten --storage pivot", "saten --saten-low-rank tt",
        "saten --saten-low-rank tt --storage pivot", "tt --tt-outliers 0.001",
    ]

    @Test(arguments: methods, [0.8, 0.5, 0.25])
    func theOutputIsWhatTheReportSays(method: String, keep: Double) throws {
        let words = ["--method"] + method.split(separator: " ").map(String.init)
        let run = try ProgramRun.of(
            ["compress", ModelFolder.fixture, "-o", folder.at("out"), "--keep", "\(keep)", "-q"] + words)
        #expect(run.code == 0, "\(run.errors)")
        let verified = try ProgramRun.of(["verify", folder.at("out"), "--against", ModelFolder.fixture, "-q"])
        #expect(verified.code == 0, "\(verified.output)")

        let report = try folder.report(of: "out")
        let lines = try #require(report["tensors"]?.array)
        let kept = lines.reduce(0) { $0 + ($1["parameters"]?.int ?? 0) }
        let dense = lines.reduce(0) { sum, line in
            sum + (line["shape"]?.array?.compactMap(\.int).reduce(1, *) ?? 0)
        }
        #expect(Double(kept) <= keep * Double(dense))
        for line in lines {
            let hasReason = line["kept_dense_reason"]?.string != nil
            #expect(hasReason == (line["schema"]?.string == "DenseLinear"))
            #expect(line["solver"]?.string != nil || hasReason)
        }

        // Positions and bit maps have integer types; everything else is a number that is stored.
        let file = try SafetensorsFile(path: folder.at("out/model.safetensors"))
        let numbers = file.tensors.filter { $0.dtype.elementType != nil }.reduce(0) { $0 + $1.elementCount }
        #expect(report["totals"]?["parameters"]?.int == numbers)
        #expect(report["totals"]?["bytes"]?.int == file.tensors.reduce(0) { $0 + $1.elementCount * $1.dtype.bits / 8 })
    }

    /// A model that runs compressed gives the loss of its dense reconstruction.
    @Test(arguments: methods)
    func itRunsAsItsReconstructionDoes(method: String) throws {
        let words = ["--method"] + method.split(separator: " ").map(String.init)
        #expect(
            try ProgramRun.of(
                [
                    "compress", ModelFolder.fixture, "-o", folder.at("out"), "--keep", "0.5", "-q", "--factor-dtype",
                    "f32",
                ]
                    + words
            ).code == 0)
        #expect(
            try ProgramRun.of(["reconstruct", folder.at("out"), "-o", folder.at("dense"), "--dtype", "f32", "-q"]).code
                == 0)
        let text = ModelFolder.packageRoot.appendingPathComponent("README.md").path
        func loss(_ model: String) throws -> Double {
            let run = try ProgramRun.of(
                ["eval", folder.at(model), "--text", text, "--context", "64", "--samples", "8", "--json", "-q"])
            #expect(run.code == 0, "\(run.errors)")
            return try #require(try JSON.parse(run.output)["loss"]?.double)
        }
        #expect(abs(try loss("out") - loss("dense")) < 1e-5)
    }

    /// A number of branches, a density and a pattern say how much to keep by themselves. The low-rank part gets a tenth
    /// of the whole, but rank 1 at least.
    @Test(arguments: [
        ("mixt --mixt-branches 3", 0.1875), ("mixt --mixt-base 3 --mixt-branches 2 --mixt-padding power", 1),
        ("saten --saten-density 0.1", 0.13), ("saten --saten-pattern 1:4", 0.2778),
        ("saten --saten-pattern 2:4", 0.5556),
    ])
    func optionsOfAMethodAreTargets(method: String, keep: Double) throws {
        let words = ["--method"] + method.split(separator: " ").map(String.init)
        let run = try ProgramRun.of(["compress", ModelFolder.fixture, "-o", folder.at("out"), "-q"] + words)
        #expect(run.code == 0, "\(run.errors)")
        #expect(try ProgramRun.of(["verify", folder.at("out"), "--against", ModelFolder.fixture, "-q"]).code == 0)
        let kept = try #require(try folder.report(of: "out")["totals"]?["keep_compressed"]?.double)
        #expect(kept <= keep && kept > 0.8 * keep || keep == 1)
    }

    @Test(arguments: [
        ("mixt --rank 4", 2, "no ranks"), ("mixt --mixt-branches 9", 2, "2^9"),
        ("mixt --keep 0.5 --mixt-base 1", 2, "from 2"),
        ("mixt --keep 0.5 --storage pivot", 2, "storage"), ("mixt --keep 0.5 --mixt-padding most", 2, "multiple"),
        ("saten --keep 0.5 --saten-pattern 2:4", 1, "cannot be reached"),
        ("saten --keep 0.5 --saten-pattern 3:7", 2, "groups of 7"), ("saten --saten-density 1.5", 2, "saten-density"),
        ("saten --keep 0.5 --saten-pattern 4:2", 2, "n:m"), ("saten --rank 4", 2, "--saten-density"),
        ("saten", 2, "no target"), ("saten --keep 0.5 --mixt-branches 2", 2, "mixt"),
        ("tt --keep 0.5 --tt-outliers 1", 2, "tt-outliers"), ("tt --tt-outliers 0.1", 2, "no target"),
    ])
    func impossibleRequestsAreRefused(method: String, code: Int, says: String) throws {
        let words = ["--method"] + method.split(separator: " ").map(String.init)
        let run = try ProgramRun.of(["compress", ModelFolder.fixture, "-o", folder.at("out"), "-q"] + words)
        #expect(run.code == code && run.errors.contains(says), "\(run.code) \(run.errors)")
    }
}
