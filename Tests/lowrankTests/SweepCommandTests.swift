import Foundation
import Safetensors
import Testing

/// `sweep` as a shell sees it, held against `compress` and `eval` with the same options.
struct SweepCommandTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    private static let heldout = ModelFolder.fixture + "/heldout.txt"

    private func run(_ command: String, _ options: String, to output: String) throws -> ProgramRun {
        try ProgramRun.of(
            [command, ModelFolder.fixture, "-o", folder.at(output)] + options.split(separator: " ").map(String.init))
    }

    private func points(of name: String) throws -> [JSON] {
        try #require(try JSON.parse(file: folder.at(name) + "/sweep.json")["points"]?.array)
    }

    /// A figure of every matrix of the compression beside the sweep.
    private func errors(_ key: String) throws -> [Double] {
        try folder.report(of: "alone")["tensors"]?.array?.compactMap { $0[key]?.double } ?? []
    }

    private func content(of path: String) throws -> [String: Data] { try folder.content(of: path) }

    /// Options of a sweep with one point each, and those of `compress` that are the same.
    private static let grids: [(sweep: String, compress: [String])] = [
        (
            "--methods svd --storage factors,pivot --keep 0.8,0.5,0.02 --layers 1-2",
            ["factors", "pivot"].flatMap { storage in
                ["0.8", "0.5", "0.02"].map { "--method svd --storage \(storage) --keep \($0) --layers 1-2" }
            }
        ),
        (
            "--methods svd --rank 3,20 --energy 0.9 --max-error 0.3,0.2 --layers 0 --storage pivot",
            ["--rank 3", "--rank 20", "--energy 0.9", "--max-error 0.3", "--max-error 0.2"].map {
                "--method svd --layers 0 --storage pivot \($0)"
            }
        ),
        (
            "--methods svd --allocation greedy,loss --target-size 1.4MB,1.1MB",
            ["greedy", "loss"].flatMap { rule in
                ["1.4MB", "1.1MB"].map { "--method svd --allocation \(rule) --target-size \($0)" }
            }
        ),
        (
            "--methods tt,tucker --tt-order 2/3 --tucker-algorithm hosvd/hooi --tucker-group heads --keep 0.6,0.4 "
                + "--layers 2",
            ["tt --tt-order 2", "tt --tt-order 3"].flatMap { method in
                ["0.6", "0.4"].map { "--method \(method) --keep \($0) --layers 2" }
            }
                + ["hosvd", "hooi"].flatMap { name in
                    ["0.6", "0.4"].map {
                        "--method tucker --tucker-group heads --tucker-algorithm \(name) --keep \($0) --layers 2"
                    }
                }
        ),
        (
            "--methods mixt,saten --mixt-branches 2/3 --saten-density 0.1/0.2 --keep 0.7 --layers 3",
            ["mixt --mixt-branches 2", "mixt --mixt-branches 3"].map { "--method \($0) --keep 0.7 --layers 3" }
                + ["0.1", "0.2"].map { "--method saten --saten-density \($0) --keep 0.7 --layers 3" }
        ),
    ]

    @Test(arguments: 0..<5)
    func everyPointIsTheCompressionOfItsOptions(grid: Int) throws {
        let (sweep, compressions) = Self.grids[grid]
        let found = try run("sweep", "\(sweep) --write all -q", to: "sweep")
        #expect(found.code == 0, "\(found.errors)")
        let points = try points(of: "sweep")
        #expect(points.count == compressions.count)
        for (point, options) in zip(points, compressions) {
            let alone = try run("compress", "\(options) -q --force", to: "alone")
            #expect(alone.code == 0, "\(options): \(alone.errors)")
            let output = "sweep/" + (try #require(point["output"]?.string))
            #expect(try content(of: output) == content(of: "alone"), "\(options)")
            let totals = try folder.report(of: "alone")["totals"]
            for key in ["parameters", "bytes", "macs", "keep_compressed", "keep_model"] {
                #expect(point[key] == totals?[key], "\(options): \(key)")
            }
            let errors = try errors("relative_error")
            #expect(point["relative_error"]?.double == errors.reduce(0, +) / Double(errors.count))
        }
    }

    /// Without checkpoints the same figures come from what is measured alone; perplexities are those of `eval`.
    @Test func perplexitiesAreThoseOfEval() throws {
        let options = "--eval-text \(Self.heldout) --context 64 --samples 3"
        #expect(try run("sweep", "--methods svd,saten --keep 0.6,0.3 \(options) -q", to: "sweep").code == 0)
        let scored = "--text \(Self.heldout) --context 64 --samples 3 --json -q"
        func perplexity(_ model: String) throws -> JSON? {
            let run = try ProgramRun.of(["eval", model] + scored.split(separator: " ").map(String.init))
            return try JSON.parse(run.output)["perplexity"]
        }
        for (point, line) in zip(try points(of: "sweep"), ["svd 0.6", "svd 0.3", "saten 0.6", "saten 0.3"]) {
            let words = line.split(separator: " ")
            #expect(
                try run("compress", "--method \(words[0]) --keep \(words[1]) -q --force", to: "alone").code == 0)
            #expect(try point["perplexity"] == perplexity(folder.at("alone")), "\(line)")
        }
        let source = try JSON.parse(file: folder.at("sweep/sweep.json"))["source"]
        #expect(try source?["perplexity"] == perplexity(ModelFolder.fixture))
    }

    /// The report of a point that is written says what the sweep measured, in the words of `eval --report`.
    @Test func writtenPointsReportTheirPerplexity() throws {
        let options = "--documents <|endoftext|> --context 64"
        let sweep = "--methods svd,mixt --keep 0.6 --eval-text \(Self.heldout) \(options) --eval-samples 3"
        #expect(try run("sweep", "\(sweep) --write all -q", to: "sweep").code == 0)
        for point in try points(of: "sweep") {
            let output = "sweep/" + (try #require(point["output"]?.string))
            let found = try #require(try folder.report(of: output)["evaluation"])
            #expect(found["perplexity"] == point["perplexity"] && found["window_losses"]?.array?.count == 3)
            let eval = "eval \(folder.at(output)) --text \(Self.heldout) \(options) --samples 3 --report -q"
            #expect(try ProgramRun.of(eval).code == 0)
            #expect(try folder.report(of: output)["evaluation"] == found)
            let page = try String(contentsOfFile: folder.at(output) + "/report.md", encoding: .utf8)
            #expect(page.lowercased().contains("perplexity"))
        }
        #expect(try run("sweep", "--methods svd --keep 0.6 --write all -q", to: "bare").code == 0)
        let bare = try #require(try points(of: "bare").first?["output"]?.string)
        #expect(try folder.report(of: "bare/" + bare)["evaluation"] == nil)
    }

    @Test func sequencesAndStatisticsGiveTheFiguresOfCompress() throws {
        let text = "--text \(Self.heldout) --context 64 --samples 4"
        #expect(
            try ProgramRun.of(
                ["calibrate", ModelFolder.fixture, "-o", folder.at("stats"), "-q"]
                    + text.split(separator: " ").map(String.init)
            ).code == 0)
        for options in [text, "--stats \(folder.at("stats")) --objective activations,asvd"] {
            #expect(
                try run(
                    "sweep", "--methods svd --keep 0.6,0.4 --layers 0-1 \(options) --write 1 -q --force", to: "sweep"
                ).code == 0)
            let first = options.replacingOccurrences(of: "activations,asvd", with: "activations")
            #expect(
                try run("compress", "--keep 0.6 --layers 0-1 \(first) -q --force", to: "alone").code == 0)
            let point = try points(of: "sweep")[0]
            #expect(try content(of: "sweep/" + (point["output"]?.string ?? "")) == content(of: "alone"))
            let errors = try errors("activation_error")
            #expect(errors.count == 14 && point["activation_error"]?.double == errors.reduce(0, +) / 14)
        }
    }

    @Test func csvHasALineForEveryPointAndIsTheSameForAnyThreads() throws {
        let options = "--methods svd,mixt --storage factors,pivot --keep 0.6,0.5 -q"
        #expect(try run("sweep", options + " --threads 1", to: "one").code == 0)
        let two = try run("sweep", options + " --threads 2", to: "two")
        #expect(two.code == 0)
        func lines(_ name: String) throws -> [[String]] {
            try String(contentsOfFile: folder.at(name) + "/sweep.csv", encoding: .utf8).split(separator: "\n")
                .map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
        }
        #expect(try String(contentsOfFile: folder.at("one/sweep.html"), encoding: .utf8).contains("<svg"))
        let again = ["report", folder.at("one/sweep.json"), "-o", folder.at("again.html"), "--force"]
        let found = try ProgramRun.of(again + ["--limit-error", "0.99"])
        #expect(found.code == 0 && found.output.hasPrefix("recommended for relative error of weights at most 0.99: "))
        let none = try ProgramRun.of(again + ["--limit-size", "300KB"])
        #expect(none.code == 1 && none.output.hasPrefix("No result keeps to the limit: at most 300 KB"))
        let csv = try lines("one")
        #expect(
            csv[0].joined(separator: ",")
                == "method,target,keep_compressed,keep_model,parameters,bytes,macs,relative_error,activation_error,"
                + "perplexity,seconds,options")
        #expect(csv.count == 7)
        #expect(csv.map { $0[0..<2].joined(separator: " ") }[1] == "svd keep=0.6")
        let seconds = 10
        #expect(try csv.map { $0[..<seconds] + $0[11...] } == lines("two").map { $0[..<seconds] + $0[11...] })
    }

    @Test func aPointThatAMethodCannotDoIsLeftOutWithANotice() throws {
        let found = try run("sweep", "--methods svd,mixt --storage factors,pivot --keep 0.5", to: "sweep")
        #expect(found.code == 0 && found.errors.contains("left out --method=mixt --storage=pivot"), "\(found.errors)")
        #expect(try points(of: "sweep").count == 3)
    }

    @Test func aDryRunListsThePointsAndWritesNothing() throws {
        let found = try run("sweep", "--methods svd,tt --keep 0.5,0.4 --dry-run --json", to: "sweep")
        let points = try #require(try JSON.parse(found.output)["points"]?.array)
        let labels = ["1-svd-keep=0.5", "2-svd-keep=0.4", "3-tt-keep=0.5", "4-tt-keep=0.4"]
        #expect(points.map { $0["label"]?.string } == labels)
        #expect(points.allSatisfy { $0["parameters"]?.int != nil })
        #expect(try folder.names.isEmpty)
    }

    @Test(arguments: [
        ("--keep 0.5", 2, "--methods"),
        ("--methods svd", 2, "no target is given"),
        ("--methods svd,svd --keep 0.5", 2, "\"svd\" is listed twice"),
        ("--methods svd --keep 0.5,0.5", 2, "\"0.5\" is listed twice"),
        ("--methods svd --keep 0.5,2", 2, "--keep"),
        ("--methods svd --keep 0.5,", 2, "--keep"),
        ("--methods svd --keep=", 2, "--keep '': expected a number"),
        ("--methods tt --tt-ranks=", 2, "--tt-ranks"),
        ("--methods svd --keep 0.5 --include (", 2, "--include '(': expected a regular expression"),
        ("--methods svd,best --keep 0.5", 2, "best"),
        ("--methods svd --tt-order 2/3 --keep 0.5", 2, "--tt-order belongs to none of --methods svd"),
        ("--methods mixt --storage pivot --keep 0.5", 2, "MixT has no basis"),
        ("--methods mixt --rank 4", 2, "MixT has no ranks"),
        ("--methods svd --keep 0.5,0.0001", 1, "2-svd-keep=0.0001"),
        ("--methods svd --keep 0.5 --write 2", 2, "there are 1 points"),
        ("--methods svd --keep 0.5 --write tucker", 2, "matches no point"),
        ("--methods svd --keep 0.5 --write [", 2, "nor a regular expression"),
        ("--methods svd --keep 0.5 --eval-samples 3", 2, "--eval-samples needs --eval-text"),
        ("--methods svd --keep 0.5 --context 64", 2, "--context is about text"),
        ("--methods svd --keep 0.5 --eval-text missing.txt", 3, "missing.txt"),
        ("--methods svd --keep 0.5 --include nothing", 2, "matches no linear layer"),
    ])
    func badRequestsAreRefusedWithOneError(options: String, code: Int, reason: String) throws {
        let found = try run("sweep", options, to: "sweep")
        #expect(found.code == code && found.errors.contains(reason), "\(found.code) \(found.errors)")
        #expect(found.errors.split(separator: "\n").count { $0.contains("error") } == 1, "\(found.errors)")
        #expect(try folder.names.isEmpty)
    }
}
