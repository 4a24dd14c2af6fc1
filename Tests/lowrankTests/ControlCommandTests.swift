import Foundation
import Safetensors
import Testing

/// Controls that a compression is held against, as a shell sees them.
struct ControlCommandTests {
    private let folder: ModelFolder
    private static let model = ModelFolder.fixture

    init() throws { folder = try ModelFolder() }

    private func compress(_ output: String, _ more: [String]) throws -> JSON {
        let run = try ProgramRun.of(["compress", Self.model, "-o", folder.at(output), "--keep", "0.5", "-q"] + more)
        #expect(run.code == 0, "\(run.errors)")
        let verified = try ProgramRun.of(["verify", folder.at(output), "--against", Self.model, "-q"])
        #expect(verified.code == 0, "\(verified.output)")
        return try folder.report(of: output)
    }

    private func lines(_ report: JSON) throws -> [JSON] { try #require(report["tensors"]?.array) }

    private func loss(_ output: String) throws -> Double {
        let found = try ProgramRun.of([
            "eval", folder.at(output), "--text", Self.model + "/heldout.txt", "--samples", "4", "--json", "-q",
        ])
        #expect(found.code == 0, "\(found.errors)")
        return try #require(try JSON.parse(found.output)["loss"]?.double)
    }

    /// The SVD of equal size is that of `--method svd` at the size that the method has.
    @Test func theSVDControlIsTheSVDOfThatSize() throws {
        let method = try lines(try compress("mixt", ["--method", "mixt"]))
        let control = try lines(try compress("control", ["--method", "mixt", "--control", "svd"]))
        for (left, right) in zip(method, control) {
            let shape = (left["shape"]?.array ?? []).compactMap(\.int)
            let numbers = try #require(left["parameters"]?.int)
            if left["kept_dense_reason"]?.string != nil {
                #expect(right["schema"] == left["schema"])
                continue
            }
            #expect(right["schema"]?.string == "ABLinear")
            #expect(right["rank"]?.int == numbers / (shape[0] + shape[1]))
            #expect(right["method_error"]?.double == left["relative_error"]?.double)
            #expect(right["control_error"]?.double == right["relative_error"]?.double)
            #expect(right["method_parameters"]?.int == numbers)
        }
        // Without further training MixT is behind the SVD of equal size in every matrix, and the report says so.
        let report = try folder.report(of: "control")
        let roles = try #require(report["control"]?["roles"]?.array)
        #expect(report["control"]?["kind"]?.string == "svd" && report["control"]?["method"]?.string == "mixt")
        #expect(roles.allSatisfy { $0["method_wins"]?.int == 0 })
        let compressed = control.count { $0["kept_dense_reason"]?.string == nil }
        #expect(report["control"]?["control_wins"]?.int == compressed)
        #expect(report["control"]?["matrices"]?.int == compressed)
        #expect(try loss("control") < loss("mixt"))
    }

    @Test func droppedMatricesAddNothing() throws {
        let report = try compress("out", ["--control", "drop", "--layers", "1"])
        for line in try lines(report) {
            #expect(line["relative_error"]?.double == 1)
            #expect(line["rank"]?.int == 1)
        }
        // The model without the block: its weights zero in a copy of the model.
        let source = folder.at("zeroed")
        let run = try ProgramRun.of(["reconstruct", folder.at("out"), "-o", source, "-q"])
        #expect(run.code == 0, "\(run.errors)")
        let file = try SafetensorsFile(path: source + "/model.safetensors")
        let bytes = try file.bytes(of: "model.layers.1.self_attn.o_proj.weight")
        #expect(bytes.withUnsafeBytes { $0.allSatisfy { $0 == 0 } })
        #expect(try abs(loss("out") - loss("zeroed")) < 1e-6)
    }

    /// Zeros in both factors stay zeros; random ones and those of the SVD learn.
    @Test(arguments: ["drop", "noise", "svd"]) func recoveryWarnsOfMatricesThatItCannotRecover(control: String) throws {
        _ = try compress("out", ["--control", control, "--layers", "1"])
        let run = try ProgramRun.of([
            "recover", folder.at("out"), "--reference", Self.model, "--text", Self.model + "/calibration.txt",
            "--context", "48", "--samples", "8", "--epochs", "1", "-o", folder.at("better"), "-q",
        ])
        #expect(run.code == 0, "\(run.errors)")
        let warning =
            "warning: 7 of 7 compressed matrices are zero in all of their factors, as --control drop leaves them"
        #expect(run.errors.contains(warning) == (control == "drop"), "\(run.errors)")
        if control == "drop" {
            let weights = "model.safetensors"
            #expect(try folder.content(of: "better")[weights] == folder.content(of: "out")[weights])
        }
    }

    @Test func noiseHasTheSizeAndTheNormOfTheMethodAndNothingElse() throws {
        let method = try lines(try compress("svd", ["--factor-dtype", "f32"]))
        let noise = try lines(try compress("noise", ["--factor-dtype", "f32", "--control", "noise"]))
        for (left, right) in zip(method, noise) {
            #expect(left["parameters"] == right["parameters"])
            let kept = 1 - pow(try #require(left["relative_error"]?.double), 2)
            // Independent of the weight: ‖W − N‖² = ‖W‖² + ‖N‖², with ‖N‖² = ‖W'‖² = what the SVD keeps of ‖W‖².
            let error = try #require(right["relative_error"]?.double)
            #expect(abs(error * error - (1 + kept)) < 0.2, "\(error)")
        }
        _ = try compress("again", ["--factor-dtype", "f32", "--control", "noise"])
        #expect(try folder.content(of: "again") == folder.content(of: "noise"))
        _ = try compress("other", ["--factor-dtype", "f32", "--control", "noise", "--seed", "1"])
        let weights = "model.safetensors"
        #expect(try folder.content(of: "other")[weights] != folder.content(of: "noise")[weights])
    }

    @Test func groupsThatShareTensorsHaveControlsOfTheirSizeTogether() throws {
        let method = try lines(try compress("shared", ["--share-layers", "2"]))
        let control = try lines(try compress("control", ["--share-layers", "2", "--control", "svd"]))
        func numbers(_ lines: [JSON]) -> Int { lines.reduce(0) { $0 + ($1["parameters"]?.int ?? 0) } }
        #expect(numbers(control) <= numbers(method))
        // What is lost is a part of a rank in every matrix.
        #expect(Double(numbers(control)) > 0.9 * Double(numbers(method)))
    }

    @Test func anUnknownControlIsAWrongRequest() throws {
        let run = try ProgramRun.of(
            ["compress", Self.model, "-o", folder.at("x"), "--keep", "0.5", "--control", "chance"])
        #expect(run.code == 2)
        #expect(run.errors.contains("drop"), "\(run.errors)")
    }
}
