import Foundation
import Safetensors
import Testing

/// The main job, as a shell sees it.
struct CompressCommandTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    private func compress(_ options: String, to output: String = "out", from model: String? = nil) throws -> ProgramRun
    {
        let words = options.split(separator: " ").map(String.init)
        return try ProgramRun.of(
            ["compress", model ?? ModelFolder.fixture, "-o", folder.at(output), "--quiet"] + words)
    }

    @Test func theOutputVerifiesAndReconstructs() throws {
        let run = try compress("--keep 0.6 --json")
        #expect(run.code == 0 && run.errors.isEmpty)
        let printed = try JSON.parse(run.output)
        #expect(printed == (try folder.report(of: "out")))
        #expect(try #require(printed["totals"]?["keep_compressed"]?.double) <= 0.6)

        let verified = try ProgramRun.of(["verify", folder.at("out"), "--against", ModelFolder.fixture, "--json", "-q"])
        #expect(verified.code == 0)
        let verification = try JSON.parse(verified.output)
        #expect(verification["ok"]?.bool == true && verification["tensors"]?.array?.count == 35)

        let dense = try ProgramRun.of(["reconstruct", folder.at("out"), "-o", folder.at("dense"), "-q"])
        #expect(dense.code == 0)
        let original = try JSON.parse(file: ModelFolder.fixture + "/config.json")
        #expect(try JSON.parse(file: folder.at("dense/config.json")) == original)
        let source = try SafetensorsFile(path: ModelFolder.fixture + "/model.safetensors")
        let rebuilt = try SafetensorsFile(path: folder.at("dense/model.safetensors"))
        #expect(
            Set(source.tensors.map { "\($0.name) \($0.dtype) \($0.shape)" })
                == Set(rebuilt.tensors.map { "\($0.name) \($0.dtype) \($0.shape)" }))
    }

    /// A line for each matrix, beside the result and not in it; none with --quiet.
    @Test func everyMatrixHasALine() throws {
        let words = ["compress", ModelFolder.fixture, "-o", folder.at("out"), "--keep", "0.6", "--json"]
        let run = try ProgramRun.of(words)
        #expect(try JSON.parse(run.output) == (try folder.report(of: "out")))
        let lines = run.errors.split(separator: "\n").filter { $0.hasPrefix("[") }
        #expect(lines.count == 35)
        let first = "[ 1/35] model.layers.0.self_attn.q_proj  128×128  BF16 32.8 KB -> ABLinear rank 38 19.5 KB  59.4 %"
        #expect(lines.first?.hasPrefix(first) == true, "\(run.errors)")
        #expect(lines.last?.hasPrefix("[35/35] ") == true)
        #expect(try ProgramRun.of(words + ["--quiet", "--force"]).errors.isEmpty)
    }

    @Test func threadsAndRepetitionsGiveTheSameBytes() throws {
        for (name, threads) in [("one", 1), ("two", 2), ("three", 3), ("again", 3)] {
            #expect(try compress("--keep 0.5 --threads \(threads)", to: name).code == 0)
        }
        let first = try folder.content(of: "one")
        #expect(first.count > 3)
        for name in ["two", "three", "again"] { #expect(try folder.content(of: name) == first) }
    }

    /// The factors' shapes are counted from the file, not taken from the report.
    @Test(arguments: ["--keep 0.6", "--remove 0.4"])
    func ranksAreTheFloorFormula(target: String) throws {
        #expect(try compress(target).code == 0)
        let file = try SafetensorsFile(path: folder.at("out/model.safetensors"))
        for tensor in file.tensors where tensor.name.hasSuffix("BLinear.weight") {
            let partner = tensor.name.replacingOccurrences(of: "BLinear", with: "ALinear")
            let a = try #require(file.tensor(named: partner))
            let m = a.shape[0], n = tensor.shape[1]
            #expect(tensor.shape[0] == Int((0.6 * Double(m * n) / Double(m + n)).rounded(.down)))
            #expect(a.shape[1] == tensor.shape[0] && a.dtype == .bf16)
        }
    }

    @Test func targetsOfTheWholeOutputAreNeverExceeded() throws {
        #expect(try compress("--target-params 800000", to: "p").code == 0)
        let parameters = try #require(folder.report(of: "p")["totals"]?["parameters"]?.int)
        #expect(parameters <= 800_000 && parameters > 780_000)
        #expect(try compress("--target-size 1.5MB", to: "s").code == 0)
        let bytes = try #require(folder.content(of: "s")["model.safetensors"]?.count)
        #expect(bytes <= 1_500_000 && bytes > 1_460_000)
        let idle = try compress("--target-size 10MB", to: "idle")
        #expect(idle.code == 0 && idle.errors.contains("meets --target-size 10000000 as it is, with 2.16 MB"))
        let unreachable = try compress("--target-size 100KB", to: "u")
        #expect(unreachable.code == 1 && unreachable.errors.contains("smallest possible result"))
        #expect(try folder.names == ["idle", "p", "s"])
    }

    @Test func errorAndEnergyTargetsHoldForEveryMatrix() throws {
        #expect(try compress("--max-error 0.3", to: "e").code == 0)
        for tensor in try #require(folder.report(of: "e")["tensors"]?.array) {
            #expect(try #require(tensor["relative_error"]?.double) <= 0.3)
        }
        #expect(try compress("--energy 0.9", to: "n").code == 0)
        for tensor in try #require(folder.report(of: "n")["tensors"]?.array) {
            #expect(try #require(tensor["energy_kept"]?.double) >= 0.9)
        }
    }

    @Test func selectionsLeaveTheRestUntouched() throws {
        #expect(try compress("--rank 8 --layers 1-2 --exclude q_proj --exclude k_proj").code == 0)
        let names = try #require(folder.report(of: "out")["tensors"]?.array).compactMap { $0["name"]?.string }
        #expect(names.count == 10 && names.allSatisfy { $0.contains("layers.1.") || $0.contains("layers.2.") })
        let config = try JSON.parse(file: folder.at("out/config.json"))
        #expect(config["low_rank_modules"]?.object?.keys.count == 10)
        #expect(config["model_type"]?.string == "lowrank_llama")
    }

    @Test func matricesThatWouldNotShrinkAreKeptDenseAndListed() throws {
        #expect(try compress("--rank 60").code == 0)
        let report = try folder.report(of: "out")
        let dense = try #require(report["tensors"]?.array).filter { $0["kept_dense_reason"]?.string != nil }
        #expect(dense.count == 10)  // key and value projections are 32 × 128
        let verified = try ProgramRun.of(["verify", folder.at("out"), "--against", ModelFolder.fixture, "-q"])
        #expect(verified.code == 0)
    }

    @Test func anOutputWithNothingCompressedSaysSoAndVerifies() throws {
        let run = try compress("--rank 1000")
        #expect(run.code == 0 && run.errors.contains("no matrix became smaller"))
        let verified = try ProgramRun.of(["verify", folder.at("out"), "--against", ModelFolder.fixture, "-q"])
        #expect(verified.code == 0 && verified.output.contains("0 compressed matrices and 48 other tensors"))
    }

    /// By hand: 3 blocks of 27,648 and, because the head is the embedding, 768 × 48 more.
    @Test func multiplyAddsCountAHeadThatIsTheEmbedding() throws {
        let model = ModelFolder.packageRoot.appendingPathComponent("Fixtures/tiny-gpt2").path
        #expect(try compress("--keep 0.6", from: model).code == 0)
        let totals = try #require(folder.report(of: "out")["totals"])
        let vocabulary = try #require(try JSON.parse(file: model + "/config.json")["vocab_size"]?.int)
        #expect(totals["dense_macs"]?.int == 3 * 12 * 48 * 48 + vocabulary * 48)
    }

    @Test func aDryRunWritesNothingAndPromisesTheBytes() throws {
        let planned = try JSON.parse(try compress("--keep 0.6 --dry-run --json").output)
        #expect(try folder.names.isEmpty)
        #expect(try compress("--keep 0.6").code == 0)
        let written = try #require(folder.content(of: "out")["model.safetensors"]?.count)
        #expect(planned["totals"]?["file_bytes"]?.int == written)
    }

    @Test func shardsJoinIntoTheSameTensors() throws {
        #expect(try compress("--keep 0.6", to: "one").code == 0)
        #expect(try compress("--keep 0.6 --max-shard-size 400KB", to: "many").code == 0)
        let one = try SafetensorsFile(path: folder.at("one/model.safetensors"))
        let index = try ShardIndex(path: folder.at("many/model.safetensors.index.json"))
        #expect(index.files.count > 3 && index.weightMap.count == one.tensors.count)
        let verified = try ProgramRun.of(["verify", folder.at("many"), "--against", ModelFolder.fixture, "-q"])
        #expect(verified.code == 0)
    }

    @Test func aChangedFactorFailsVerification() throws {
        #expect(try compress("--keep 0.6").code == 0)
        let path = folder.at("out/model.safetensors")
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let tensor = try #require(try SafetensorsFile(path: path).tensors.first { $0.name.hasSuffix("ALinear.weight") })
        for offset in tensor.byteRange.prefix(200) { bytes[offset] = 0x3F }
        try bytes.write(to: URL(fileURLWithPath: path))
        let verified = try ProgramRun.of(["verify", folder.at("out"), "--against", ModelFolder.fixture, "-q"])
        #expect(verified.code == 1 && verified.output.contains("the report says"))
    }
}
