import Foundation
import Safetensors
import Testing

/// Plans as a shell sees them: written, edited, obeyed and refused.
struct PlanCommandTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    private func plan(_ options: String, to file: String = "plan.json") throws -> JSON {
        let words = options.split(separator: " ").map(String.init)
        let run = try ProgramRun.of(["plan", ModelFolder.fixture, "-o", folder.at(file), "--json", "-q"] + words)
        #expect(run.code == 0)
        let printed = try JSON.parse(run.output)
        #expect(printed == (try JSON.parse(file: folder.at(file))))
        return printed
    }

    private func compress(_ options: [String], to output: String) throws -> ProgramRun {
        try ProgramRun.of(["compress", ModelFolder.fixture, "-o", folder.at(output), "-q"] + options)
    }

    private func write(_ plan: JSON) throws -> String {
        let path = folder.at("edited.json")
        try plan.text(pretty: true).write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test(arguments: ["--keep 0.5", "--rank 12", "--energy 0.9", "--target-params 250K", "--keep 0.4 --storage pivot"])
    func anObeyedPlanGivesTheBytesOfTheCommandItCameFrom(options: String) throws {
        let plan = try plan(options)
        // In Float: where bf16 makes pivot storage give way to factors, a rank allows slightly other factors than a
        // share.
        let float = ["--factor-dtype", "f32"]
        #expect(try compress(options.split(separator: " ").map(String.init) + float, to: "direct").code == 0)
        #expect(try compress(["--plan", folder.at("plan.json")] + float, to: "planned").code == 0)
        #expect(try folder.content(of: "direct") == folder.content(of: "planned"))
        if let promised = plan["totals"]?["parameters"]?.int {
            #expect(try folder.report(of: "planned")["totals"]?["parameters"]?.int == promised)
        }
    }

    @Test func everyMatrixMayHaveItsOwnMethodAndRank() throws {
        let plan: JSON = [
            "plan_version": 1,
            "modules": [
                "model.layers.0.self_attn.q_proj": ["rank": 5],
                "model.layers.0.mlp.up_proj": ["rank": 7, "storage": "pivot"],
                "model.layers.1.mlp.down_proj": ["method": "mixt", "options": ["mixt-branches": 3]],
                "model.layers.2.mlp.down_proj": ["max_error": 0.5],
            ],
        ]
        #expect(try compress(["--plan", try write(plan)], to: "out").code == 0)
        let config = try JSON.parse(file: folder.at("out/config.json"))
        let modules = try #require(config["low_rank_modules"]?.object)
        #expect(
            modules.count == 4 && config["low_rank_schema"]?.string == "mixed"
                && config["low_rank_method"]?.string == "mixed")
        #expect(modules["model.layers.0.self_attn.q_proj"]?["rank"]?.int == 5)
        #expect(modules["model.layers.0.mlp.up_proj"]?["schema"]?.string == "PivotLinear")
        #expect(modules["model.layers.1.mlp.down_proj"]?["branches"]?.int == 3)
        let verified = try ProgramRun.of(["verify", folder.at("out"), "--against", ModelFolder.fixture, "-q"])
        #expect(verified.code == 0)
    }

    @Test(arguments: [
        (["plan_version": 2, "modules": ["a": ["rank": 1]]], "plan_version is 2; expected 1"),
        (["plan_version": 1, "modules": [:]], "names no module"),
        (["plan_version": 1, "moduls": [:], "modules": ["a": ["rank": 1]]], "\"moduls\" means nothing"),
        (["plan_version": 1, "modules": ["lm": ["rank": 1]]], "lm: the model has no such linear layer"),
        (["plan_version": 1, "modules": ["lm_head": ["rang": 1]]], "lm_head: \"rang\" means nothing"),
        (["plan_version": 1, "modules": ["lm_head": [:]]], "lm_head: it has no size"),
        (["plan_version": 1, "modules": ["lm_head": ["rank": 1, "keep": 0.5]]], "it has 2 sizes"),
        (["plan_version": 1, "modules": ["lm_head": ["keep": 1.5]]], "no number above 0 and at most 1"),
        (["plan_version": 1, "method": "magic", "modules": ["lm_head": ["rank": 1]]], "\"magic\" is none of svd"),
        (["plan_version": 1, "source": ["fingerprint": "0"], "modules": ["lm_head": ["rank": 1]]], "another model"),
    ] as [(JSON, String)])
    func aPlanThatCannotBeObeyedIsRefused(plan: JSON, reason: String) throws {
        let run = try compress(["--plan", try write(plan)], to: "out")
        #expect(run.code == 3 && run.errors.contains(reason) && run.errors.contains("edited.json"), "\(run.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.at("out")))
    }

    @Test(arguments: ["--keep 0.5", "--method svd", "--storage pivot", "--layers 0-1", "--include q_proj"])
    func whatAPlanDecidesIsNotSaidTwice(option: String) throws {
        _ = try plan("--keep 0.5")
        let run = try compress(
            ["--plan", folder.at("plan.json")] + option.split(separator: " ").map(String.init), to: "out")
        #expect(run.code == 2 && run.errors.contains("--plan"))
    }

    @Test func aPlanIsNotOverwrittenWithoutForce() throws {
        _ = try plan("--keep 0.5")
        let again = try ProgramRun.of([
            "plan", ModelFolder.fixture, "-o", folder.at("plan.json"), "--keep", "0.4", "-q",
        ])
        #expect(again.code == 2)
    }
}
