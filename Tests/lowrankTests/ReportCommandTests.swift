import Foundation
import Safetensors
import Testing

@Suite("report")
struct ReportCommandTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    private func compressed() throws -> String {
        let run = try ProgramRun.of(["compress", ModelFolder.fixture, "-o", folder.at("small"), "--keep", "0.6"])
        #expect(run.code == 0, "\(run.errors)")
        #expect(
            run.output.split(separator: "\n").last?.hasPrefix("summary: tiny-llama svd --keep 0.6; 2.16 MB -> 1.44 MB")
                == true)
        return folder.at("small")
    }

    @Test("compress writes page and Markdown beside the report, and report makes the same again")
    func rendersAgain() throws {
        let small = try compressed()
        for form in ["html", "md"] {
            let run = try ProgramRun.of(["report", small + "/report.json", "-o", folder.at("again.\(form)")])
            #expect(run.code == 0, "\(run.errors)")
            let again = FileManager.default.contents(atPath: folder.at("again.\(form)"))
            #expect(again == FileManager.default.contents(atPath: small + "/report.\(form)"))
        }
    }

    @Test("every matrix has a sample of its spectrum that ends at the smaller side and holds the rank")
    func spectra() throws {
        _ = try compressed()
        for tensor in try #require(try folder.report(of: "small")["tensors"]?.array) {
            let spectrum = try #require(tensor["spectrum"])
            let indices = (spectrum["indices"]?.array ?? []).compactMap { $0.int }
            let values = (spectrum["values"]?.array ?? []).compactMap { $0.double }
            let sides = (tensor["shape"]?.array ?? []).compactMap { $0.int }
            #expect(indices.first == 1 && indices.last == sides.min())
            #expect(indices.contains(tensor["rank"]?.int ?? 0))
            #expect(indices.count == values.count && indices.count <= 48)
            #expect(zip(values, values.dropFirst()).allSatisfy { $0 >= $1 })
        }
    }

    @Test("trains and stacks have a spectrum for every bond and mode, with its cut", arguments: [
        ("tt --tt-order 3 --keep 0.5", ["bond 1", "bond 2"]),
        (
            "tucker --tucker-group layers --share-layers 5 --tucker-form full --keep 0.3",
            ["members", "outputs", "inputs"]
        ),
        ("tucker --keep 0.5", nil),
    ] as [(String, [String]?)])
    func spectraOfOtherMethods(method: String, names: [String]?) throws {
        let words = ["compress", ModelFolder.fixture, "-o", folder.at("small"), "-q", "--method"]
        let run = try ProgramRun.of(words + method.split(separator: " ").map(String.init))
        #expect(run.code == 0, "\(run.errors)")
        let tensor = try #require(try folder.report(of: "small")["tensors"]?.array?.first)
        let spectra = names == nil ? [try #require(tensor["spectrum"])] : try #require(tensor["spectra"]?.array)
        let ranks = (tensor["ranks"]?.array ?? []).compactMap { $0.int }
        let found = spectra.compactMap { $0["name"]?.string }
        #expect(found.allSatisfy { names?.contains($0) == true } && found.isEmpty == (names == nil))
        for spectrum in spectra {
            let values = (spectrum["values"]?.array ?? []).compactMap { $0.double }
            #expect(values.count > 1 && zip(values, values.dropFirst()).allSatisfy { $0 >= $1 })
            if let rank = spectrum["rank"]?.int { #expect(ranks.contains(rank)) }
        }
        let page = try String(contentsOfFile: folder.at("small/report.html"), encoding: .utf8)
        #expect(page.contains("<h2>Spectra</h2>"))
    }

    @Test("eval --report puts perplexity into the report and its pages, and recovery takes it out of them")
    func evaluation() throws {
        let small = try compressed()
        let text = ModelFolder.fixture + "/heldout.txt"
        let eval = ["eval", small, "--text", text, "--samples", "2", "--context", "64", "-q"]
        let run = try ProgramRun.of(eval + ["--reference", ModelFolder.fixture, "--report", "--json"])
        #expect(run.code == 0, "\(run.errors)")
        let printed = try JSON.parse(run.output)
        let evaluation = try #require(try folder.report(of: "small")["evaluation"])
        #expect(evaluation["perplexity"] == printed["perplexity"] && evaluation["reference"] == printed["reference"])
        #expect(evaluation["tokens_per_second"] == nil && evaluation["peak_rss_bytes"] == nil)
        let line = try ProgramRun.of(["report", small + "/report.json", "-o", folder.at("again.html")])
        #expect(line.output.contains("; perplexity "), "\(line.output)")
        let page = try String(contentsOfFile: small + "/report.html", encoding: .utf8)
        #expect(page.contains("before → after, 126 tokens"))
        #expect(page == (try String(contentsOfFile: folder.at("again.html"), encoding: .utf8)))

        let recover = ["recover", small, "--reference", ModelFolder.fixture, "--text", text, "--samples", "8"]
        let more = ["--context", "64", "--stages", "layers", "-o", folder.at("better"), "-q"]
        #expect(try ProgramRun.of(recover + more).code == 0)
        #expect(try folder.report(of: "better")["evaluation"] == nil)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.at("better"))
        #expect(names.contains("report.html") && names.contains("report.md"))
    }

    @Test("figures go only into the report of a compression")
    func noReport() throws {
        let text = ModelFolder.fixture + "/heldout.txt"
        let run = try ProgramRun.of(["eval", ModelFolder.fixture, "--text", text, "--report"])
        #expect(run.code == 2 && run.errors.contains("has no report.json"), "\(run.errors)")
    }

    @Test("times of the stages add up to the whole")
    func stages() throws {
        _ = try compressed()
        let report = try folder.report(of: "small")
        let stages = (report["stages"]?.array ?? []).compactMap { $0["seconds"]?.double }
        #expect(stages.count == 3 && stages.allSatisfy { $0 >= 0 })
        #expect(stages.reduce(0, +) <= (report["totals"]?["seconds"]?.double ?? 0) * 1.01)
    }

    @Test("what cannot be rendered is refused with a reason")
    func refusals() throws {
        let path = folder.at("other.json")
        try "{\"a\": 1}".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try ProgramRun.of(["report", path, "-o", folder.at("a.html")]).code == 3)
        #expect(try ProgramRun.of(["report", path, "-o", folder.at("a.pdf")]).code == 2)
        #expect(try ProgramRun.of(["report", path, "-o", folder.at("a.html"), "--limit-size", "1MB"]).code == 2)
        #expect(try ProgramRun.of(["report", folder.at("none.json"), "-o", folder.at("a.html")]).code != 0)
    }
}
