import Foundation
import Safetensors
import Testing

/// The loader for transformers that lies in compressed folders. What it computes is checked in Python, by
/// Scripts/check_loader.py.
struct LoaderTests {
    private let folder: ModelFolder
    private static let file = "modeling_lowrank_llama.py"

    init() throws { folder = try ModelFolder() }

    @discardableResult
    private func run(_ words: String...) throws -> ProgramRun {
        let run = try ProgramRun.of(words + ["--quiet"])
        try #require(run.code == 0, "\(run.errors)")
        return run
    }

    private func code(in output: String) throws -> String {
        try String(contentsOfFile: folder.at("\(output)/\(Self.file)"), encoding: .utf8)
    }

    @Test func everyClassOfTheMapIsInTheFile() throws {
        try run("compress", ModelFolder.fixture, "-o", folder.at("out"), "--keep", "0.6")
        let map = try #require(try JSON.parse(file: folder.at("out/config.json"))["auto_map"]?.object)
        #expect(map.keys.sorted() == ["AutoConfig", "AutoModel", "AutoModelForCausalLM"])
        let code = try code(in: "out")
        for entry in map.entries {
            let reference = try #require(entry.value.string).split(separator: ".")
            #expect(reference.first == "modeling_lowrank_llama")
            #expect(code.contains("\nclass \(try #require(reference.last))("))
        }
        #expect(code.contains("model_type = \"lowrank_llama\"") && code.contains("EXPERTS = None"))
        #expect(code.contains("HEAD = \"lm_head\""))
    }

    @Test(arguments: ["svd", "tucker", "tt", "mixt", "saten"])
    func theCodeIsThatOfTheFamilyAndNotOfTheMethod(method: String) throws {
        try run("compress", ModelFolder.fixture, "-o", folder.at("svd"), "--rank", "8")
        try run("compress", ModelFolder.fixture, "-o", folder.at("out"), "--method", method, "--keep", "0.5")
        #expect(try code(in: "out") == code(in: "svd"))
        let modules = try JSON.parse(file: folder.at("out/config.json"))["low_rank_modules"]
        for entry in try #require(modules?.object).entries {
            let schema = try #require(entry.value["schema"]?.string)
            #expect(try code(in: "out").contains("\"\(schema)\""))
        }
    }

    @Test func aFolderThatIsTruncatedFurtherHasItsLoaderStill() throws {
        try run("compress", ModelFolder.fixture, "-o", folder.at("first"), "--keep", "0.8")
        try run("compress", folder.at("first"), "-o", folder.at("second"), "--keep", "0.4")
        #expect(try code(in: "second") == code(in: "first"))
        let configs = try ["first", "second"].map { try JSON.parse(file: folder.at("\($0)/config.json")) }
        #expect(configs[0]["auto_map"] == configs[1]["auto_map"] && configs[1]["low_rank_base_auto_map"] == nil)
    }

    @Test func denseFoldersHaveNone() throws {
        try run("compress", ModelFolder.fixture, "-o", folder.at("out"), "--keep", "0.6")
        try run("reconstruct", folder.at("out"), "-o", folder.at("dense"))
        try run("compress", ModelFolder.fixture, "-o", folder.at("whole"), "--rank", "1000")
        for dense in ["dense", "whole"] {
            #expect(try folder.content(of: dense)[Self.file] == nil)
            #expect(try JSON.parse(file: folder.at("\(dense)/config.json"))["auto_map"] == nil)
        }
    }

    @Test func codeOfTheSourceStaysItsOwn() throws {
        let source = try folder.copyOfFixture()
        var config = try JSON.parse(file: source + "/config.json")
        let map: JSON = ["AutoModelForCausalLM": "modeling_own.OwnForCausalLM"]
        config["auto_map"] = map
        try Data(config.text(pretty: true).utf8).write(to: URL(fileURLWithPath: source + "/config.json"))
        try run("compress", source, "-o", folder.at("out"), "--keep", "0.6")
        let compressed = try JSON.parse(file: folder.at("out/config.json"))
        #expect(compressed["low_rank_base_auto_map"] == map)
        #expect(compressed["auto_map"]?["AutoModelForCausalLM"]?.string == "modeling_lowrank_llama.LlamaForCausalLM")
        try run("reconstruct", folder.at("out"), "-o", folder.at("dense"))
        #expect(try JSON.parse(file: folder.at("dense/config.json"))["auto_map"] == map)
    }
}
