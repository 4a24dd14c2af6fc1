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
