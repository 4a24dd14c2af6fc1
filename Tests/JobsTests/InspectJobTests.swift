import Checkpoints
import CommandLineKit
import Foundation
import MatrixCore
import Safetensors
import Testing

@testable import Jobs

@Suite("Inspect")
struct InspectJobTests {
    private static let query = "model.layers.0.self_attn.q_proj.weight"

    /// A checkpoint of one query projection (4 × 4, diagonal) and a norm of another dtype.
    private func checkpoint(diagonal: [Float]) throws -> Workplace {
        let place = try Workplace()
        let writer = try CheckpointWriter(
            folder: place.path, config: ["model_type": "llama", "num_hidden_layers": 1],
            tensors: [
                TensorDeclaration(name: Self.query, dtype: .f32, shape: [4, 4]),
                TensorDeclaration(name: "model.norm.weight", dtype: .f16, shape: [4]),
            ], maximumShardBytes: 64)
        let weight = Matrix(rows: 4, columns: 4) { $0 == $1 ? diagonal[$0] : 0 }
        try writer.append(MatrixOperand(weight), to: Self.query)
        try [UInt16](repeating: 0x3c00, count: 4).withUnsafeBytes { try writer.append($0, to: "model.norm.weight") }
        try writer.finish()
        return place
    }

    @Test("the document has the fields that scripts rely on")
    func writesJSON() throws {
        let place = try checkpoint(diagonal: [1, 1, 1, 1])
        let report = try InspectJob(checkpoint: place.path).run(progress: SilentProgress(), interruption: .never)
        let json = report.json
        #expect(json["architecture"] == "llama")
        #expect(json["parameters"] == 20)
        #expect(json["bytes"] == 72)
        #expect(
            json["files"]?.array?.map { $0["name"]?.string } == [
                "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
            ])
        #expect(
            json["tensors"] == [
                ["name": JSON(Self.query), "dtype": "F32", "shape": [4, 4], "role": "attention.query", "layer": 0],
                ["name": "model.norm.weight", "dtype": "F16", "shape": [4], "role": "norm", "layer": .null],
            ])
        #expect(json["selected"] == ["modules": 1, "parameters": 16])
        #expect(json["roles"]?["norm"] == ["tensors": 1, "parameters": 4, "bytes": 8])
        #expect(json["dtypes"]?["F32"] == ["tensors": 1, "parameters": 16, "bytes": 64])
        #expect(json["spectra"] == nil)
    }

    @Test("spectra say how the energy is spread", arguments: [SafetensorsFile.Access.mapped, .read])
    func measuresSpectra(access: SafetensorsFile.Access) throws {
        let place = try checkpoint(diagonal: [4, 0, 0, -3])
        let job = InspectJob(checkpoint: place.path, includesSpectra: true, access: access)
        let report = try job.run(progress: SilentProgress(), interruption: .never)
        let spectrum = try #require(report.spectra?.first)
        #expect(spectrum.module.weightName == Self.query)
        #expect(abs(spectrum.norm - 5) < 1e-6)
        #expect(abs(spectrum.largest - 4) < 1e-6)
        // exp(−Σ p ln p) for p = 9/25, 16/25.
        #expect(abs(spectrum.effectiveRank - 1.9220997241070779) < 1e-6)
        #expect((spectrum.rankKeeping90, spectrum.rankKeeping99, spectrum.fullRank) == (2, 2, 4))
        #expect(report.json["spectra"]?[0]?["rank_90"] == 2)
    }

    @Test("a weight that is not finite is named")
    func namesNonFinite() throws {
        let place = try checkpoint(diagonal: [1, .nan, 1, 1])
        let job = InspectJob(checkpoint: place.path, includesSpectra: true)
        let failure = #expect(throws: Failure.self) { try job.run(progress: SilentProgress(), interruption: .never) }
        #expect(failure?.code == .badInput)
        #expect(failure?.tensor == Self.query)
        _ = try InspectJob(checkpoint: place.path).run(progress: SilentProgress(), interruption: .never)
    }

    @Test("an interruption ends it between two weights")
    func stops() throws {
        let place = try checkpoint(diagonal: [1, 1, 1, 1])
        let job = InspectJob(checkpoint: place.path, includesSpectra: true)
        #expect(throws: JobError.interrupted(kept: nil)) {
            try job.run(progress: SilentProgress(), interruption: Interruption { true })
        }
    }
}
