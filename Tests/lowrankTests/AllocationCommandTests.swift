import Foundation
import Safetensors
import Testing

/// Allocation as a shell sees it.
struct AllocationCommandTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    private func compress(_ options: String, to output: String = "out") throws -> ProgramRun {
        try ProgramRun.of(
            ["compress", ModelFolder.fixture, "-o", folder.at(output), "-q"]
                + options.split(separator: " ").map(String.init))
    }

    @Test(arguments: ["effective-rank", "loss", "greedy"], ["factors", "pivot"])
    func everyRuleEndsWithinHalfAPercentBelowItsTarget(rule: String, storage: String) throws {
        for keep in [0.4, 0.7] {
            let run = try compress("--keep \(keep) --allocation \(rule) --storage \(storage) --force")
            #expect(run.code == 0, "\(run.errors)")
            let kept = try #require(try folder.report(of: "out")["totals"]?["keep_compressed"]?.double)
            #expect(kept <= keep && kept > keep - 0.005, "\(rule) \(keep): \(kept)")
        }
    }

    /// Matrices that share have one curve and one size between them; what is left by itself has its own.
    @Test(
        arguments: ["effective-rank", "loss", "greedy"],
        [
            "--share-layers 2", "--share-layers 3 --storage pivot --share-projections all", "--method tucker",
            "--method tucker --storage pivot", "--method tucker --tucker-group layers",
            "--method tucker --tucker-group heads --storage pivot",
        ])
    func groupsTakePartInEveryRule(rule: String, form: String) throws {
        for keep in [0.4, 0.7] {
            let run = try compress("--keep \(keep) --allocation \(rule) \(form) --force")
            #expect(run.code == 0, "\(run.errors)")
            let kept = try #require(try folder.report(of: "out")["totals"]?["keep_compressed"]?.double)
            #expect(kept <= keep && kept > keep - 0.005, "\(rule) \(form) \(keep): \(kept)")
        }
    }

    /// The sum of relative squared errors, which the greedy rule makes small.
    @Test(arguments: ["--share-layers 2", "--share-layers 5 --storage pivot", "--method tucker --tucker-group layers"])
    func greedyIsNeverWorseThanUniformForGroups(form: String) throws {
        func errors(_ rule: String) throws -> Double {
            let run = try compress("--keep 0.5 --factor-dtype f32 --allocation \(rule) \(form) --force")
            #expect(run.code == 0, "\(run.errors)")
            let tensors = try #require(try folder.report(of: "out")["tensors"]?.array)
            return tensors.reduce(0) { sum, tensor in
                let error = tensor["relative_error"]?.double ?? 0
                return sum + error * error
            }
        }
        #expect(try errors("greedy") <= errors("uniform"))
    }

    @Test func sizesOfTheWholeOutputAreKept() throws {
        #expect(try compress("--target-params 300K --allocation greedy", to: "numbers").code == 0)
        let numbers = try #require(try folder.report(of: "numbers")["totals"]?["parameters"]?.int)
        #expect(numbers <= 300_000 && numbers > 298_500)
        #expect(try compress("--target-size 700KB --allocation greedy --storage pivot", to: "bytes").code == 0)
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.at("bytes/model.safetensors"))
        let bytes = try #require(attributes[.size] as? Int)
        #expect(bytes <= 700_000 && bytes > 696_000)
    }

    /// With text the ranks follow from the model: a query is worth more than a value of the same shape, or less, but
    /// the plan is another than that of relative errors alone, and obeying it gives the same bytes.
    @Test func sensitivitiesComeFromTheModelAndThePlanHoldsThem() throws {
        let text = ModelFolder.packageRoot.appendingPathComponent("README.md").path
        let options = "--keep 0.5 --allocation greedy --text \(text) --context 64 --samples 4 --factor-dtype f32 "
            + "--objective weights"
        #expect(try compress(options, to: "sensitive").code == 0)
        #expect(try compress("--keep 0.5 --allocation greedy --factor-dtype f32", to: "relative").code == 0)
        let one = try folder.content(of: "sensitive"), other = try folder.content(of: "relative")
        #expect(one["model.safetensors"] != other["model.safetensors"])
        let words = options.split(separator: " ").map(String.init)
        #expect(
            try ProgramRun.of(["plan", ModelFolder.fixture, "-o", folder.at("plan.json"), "-q"] + words).code == 0)
        #expect(try compress("--plan \(folder.at("plan.json")) --factor-dtype f32", to: "planned").code == 0)
        #expect(try folder.content(of: "planned") == one)
        let kept = try folder.report(of: "planned")["totals"]?["keep_compressed"]
        #expect(kept == (try folder.report(of: "sensitive")["totals"]?["keep_compressed"]))
    }

    /// `plan` writes spectra that later commands use in place of their own, to the same ranks; of another model, or in
    /// another metric, they are refused.
    @Test func spectraAreKeptInAFile() throws {
        let file = folder.at("spectra.safetensors"), rule = "--keep 0.5 --allocation greedy"
        func plan(_ options: String, _ output: String) throws -> ProgramRun {
            let words = options.split(separator: " ").map(String.init)
            return try ProgramRun.of(["plan", ModelFolder.fixture, "-o", folder.at(output), "-q"] + words)
        }
        #expect(try compress("\(rule) --spectra \(file)").code == 3)
        #expect(try plan("\(rule) --spectra \(file) --layers 0-2", "some.json").code == 0)
        let some = try #require(FileManager.default.contents(atPath: file))
        #expect(try plan("\(rule) --spectra \(file)", "plan.json").code == 0)
        let all = try #require(FileManager.default.contents(atPath: file))
        #expect(all.count > some.count)
        #expect(try plan(rule, "alone.json").code == 0)
        func contents(_ name: String) -> Data? { FileManager.default.contents(atPath: folder.at(name)) }
        #expect(contents("plan.json") == contents("alone.json"))
        #expect(try compress("\(rule) --spectra \(file)", to: "cached").code == 0)
        #expect(try compress(rule, to: "computed").code == 0)
        #expect(try folder.content(of: "cached") == folder.content(of: "computed"))
        let refusals = [
            ("\(rule) --exact --spectra \(file)", 3, "accuracy is automatic"),
            ("--keep 0.5 --spectra \(file)", 2, "uniform needs none"),
            ("\(rule) --spectra \(folder.at("plan.json"))", 3, "plan.json"),
        ]
        for (options, code, reason) in refusals {
            let run = try compress(options, to: "refused")
            #expect(run.code == code && run.errors.contains(reason), "\(run.errors)")
        }
        #expect(FileManager.default.contents(atPath: file) == all)
    }

    /// A search may only find ranks that predict better on its text, and repeats itself.
    @Test func searchesFindBetterRanksAndRepeat() throws {
        let text = ModelFolder.fixture + "/calibration.txt"
        let options = "--keep 0.5 --text \(text) --context 64 --samples 8 --objective weights"
        func divergence(_ output: String) throws -> Double {
            let run = try ProgramRun.of([
                "eval", folder.at(output), "--reference", ModelFolder.fixture, "--text", text, "--context", "64",
                "--samples", "8", "--json", "-q",
            ])
            return try #require(try JSON.parse(run.output)["reference"]?["kl"]?.double, "\(run.output)")
        }
        #expect(try compress(options + " --allocation greedy", to: "greedy").code == 0)
        let search = options + " --allocation perplexity --search-evaluations 12"
        let run = try compress(search, to: "search")
        #expect(run.code == 0, "\(run.errors)")
        #expect(try compress(search, to: "again").code == 0)
        #expect(try folder.content(of: "again") == folder.content(of: "search"))
        #expect(try divergence("search") <= 1.01 * divergence("greedy"))
    }

    @Test(arguments: [
        ("--rank 5 --allocation greedy", 2, "--allocation greedy divides a size"),
        ("--keep 0.5 --allocation greedy --method mixt", 2, "needs spectra, which mixt does not have"),
        ("--keep 0.001 --allocation greedy", 1, "a rank of 1 in each"),
        ("--keep 0.5 --allocation best", 2, "expected"),
        ("--keep 0.5 --allocation perplexity", 2, "needs --text"),
        ("--keep 0.5 --allocation greedy --search-evaluations 5", 2, "is for --allocation perplexity"),
    ])
    func whatCannotBeDividedIsRefused(options: String, code: Int, reason: String) throws {
        let run = try compress(options)
        #expect(run.code == code && run.errors.contains(reason), "\(run.errors)")
    }
}
