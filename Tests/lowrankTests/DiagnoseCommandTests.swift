import Foundation
import Safetensors
import Testing

/// `diagnose`, as a shell sees it.
struct DiagnoseCommandTests {
    private static let model = ModelFolder.fixture

    private func json(_ more: [String] = []) throws -> JSON {
        let run = try ProgramRun.of(["diagnose", Self.model, "--json", "-q"] + more)
        #expect(run.code == 0, "\(run.errors)")
        return try JSON.parse(run.output)
    }

    @Test func everyMatrixAndEveryTieHasItsFigures() throws {
        let found = try json()
        let matrices = try #require(found["matrices"]?.array), ties = try #require(found["ties"]?.array)
        let inspected = try ProgramRun.of(["inspect", Self.model, "--spectrum", "--json", "-q"])
        let spectra = try #require(try JSON.parse(inspected.output)["spectra"]?.array)
        #expect(matrices.count == spectra.count)
        let ranks = Dictionary(
            uniqueKeysWithValues: spectra.map { ($0["name"]?.string ?? "", $0["effective_rank"]?.double ?? 0) })
        for matrix in matrices {
            let rank = try #require(matrix["spectrum"]?["effective_rank"]?.double)
            #expect(abs(rank - (ranks[matrix["name"]?.string ?? ""] ?? 0)) < 1e-6 * rank)
            #expect(matrix["activations"] == .null)
        }
        // Numbers of factors at a rank, from the ranks and shapes alone.
        for role in try #require(found["roles"]?.array) {
            let members = matrices.filter { $0["role"] == role["role"] }
            let shares = members.map { matrix -> Double in
                let sides = (matrix["shape"]?.array ?? []).compactMap(\.int)
                let rank = matrix["spectrum"]?["rank_90"]?.int ?? 0
                return Double(rank * (sides[0] + sides[1])) / Double(sides[0] * sides[1])
            }
            let mean = shares.reduce(0, +) / Double(shares.count)
            #expect(abs(try #require(role["factors_90"]?.double) - mean) < 1e-9)
            #expect((role["sentence"]?.string != nil) == (mean >= 1))
        }
        let kinds = Set(ties.compactMap { $0["kind"]?.string })
        #expect(kinds == ["layers", "heads"])
        for tie in ties where tie["kind"]?.string == "layers" {
            let shared = try #require(tie["shared_error"]?.double), own = try #require(tie["own_error"]?.double)
            #expect(shared > 0 && shared < 1 && own > 0 && own < 1)
        }
    }

    /// What a pair is said to lose is what compressing it gives.
    @Test func theErrorsOfATieAreThoseOfTheCompression() throws {
        let options = ["--layers", "0-1", "--include", "up_proj"]
        let tie = try #require(try json(options)["ties"]?.array?.first)
        let folder = try ModelFolder()
        for (name, more, key) in [("shared", ["--share-layers", "2"], "shared_error"), ("own", [], "own_error")] {
            let words = ["compress", Self.model, "-o", folder.at(name), "--keep", "0.5", "-q", "--factor-dtype", "f32"]
            let run = try ProgramRun.of(words + options + more)
            #expect(run.code == 0, "\(run.errors)")
            // Both matrices have nearly the same norm; weigh them by it all the same.
            let lines = try #require(try folder.report(of: name)["tensors"]?.array)
            let errors = lines.compactMap { $0["relative_error"]?.double }
            let mean = (errors.reduce(0) { $0 + $1 * $1 } / Double(errors.count)).squareRoot()
            #expect(abs(try #require(tie[key]?.double) - mean) < 0.02)
        }
    }

    @Test func textAddsWhatLayersDoWithTheirInputs() throws {
        let found = try json(["--text", Self.model + "/calibration.txt", "--samples", "4", "--layers", "0"])
        for matrix in try #require(found["matrices"]?.array) {
            let plain = try #require(matrix["spectrum"]?["effective_rank"]?.double)
            let seen = try #require(matrix["activations"]?["effective_rank"]?.double)
            #expect(seen > 0 && seen < plain)
        }
    }

    @Test func tablesAreForPeople() throws {
        let run = try ProgramRun.of(["diagnose", Self.model, "-q", "--layers", "0-1"])
        #expect(run.code == 0)
        for words in ["effective", "overlap", "chance", "attention.query", "compress them apart"] {
            #expect(run.output.contains(words), "\(run.output)")
        }
        let wrong = try ProgramRun.of(["diagnose", Self.model, "--text", "a", "--stats", "b"])
        #expect(wrong.code == 2)
    }
}
