import Safetensors
import Testing

@testable import Reporting

@Suite("report.html and report.md")
struct CompressionPageTests {
    @Test("the page is well-formed and begins with the totals, human and exact")
    func totals() throws {
        let text = try CompressionPage.html(from: SampleDocuments.report())
        let page = try #require(ParsedPage(text))
        for figure in [
            "2.16 MB → 1.44 MB", "2,157,312 bytes → 1,444,992 bytes", "1.08 M → 722 k", "1,078,656 → 722,496", "67.0 %",
            "0.354",
        ] { #expect(page.text.contains(figure), "\(figure)") }
        let totals = try #require(text.firstRange(of: "1.44 MB"))
        let map = try #require(text.firstRange(of: "Error of weights"))
        #expect(totals.lowerBound < map.lowerBound)
    }

    @Test("perplexity is shown where it is known, before and after")
    func perplexity() throws {
        let evaluation: JSON = ["perplexity": 5.1754, "reference": ["perplexity": 4.0126]]
        #expect(
            try CompressionPage.html(from: SampleDocuments.report(evaluation: evaluation)).contains("4.0126 → 5.1754"))
        #expect(try !CompressionPage.html(from: SampleDocuments.report()).contains("perplexity"))
        let report = SampleDocuments.report(evaluation: evaluation)
        #expect(try CompressionMarkdown.text(from: report).contains("| perplexity | 4.0126 | 5.1754 | |"))
        #expect(try CompressionMarkdown.line(from: report).contains("; perplexity 4.0126 -> 5.1754;"))
    }

    @Test("figures of encoders and of questions are shown where they are known")
    func otherFigures() throws {
        let evaluation: JSON = ["embedding_cosine": 0.925, "choices": ["accuracy": 0.5, "items": 1172]]
        let page = try CompressionPage.html(from: SampleDocuments.report(evaluation: evaluation))
        for words in ["0.9250", "50.0 %", "of 1,172 questions"] { #expect(page.contains(words), "\(words)") }
        #expect(!page.contains("perplexity"))
    }

    @Test("maps have a cell for each layer and role, curves their cut, dense matrices their reason")
    func charts() throws {
        let page = try #require(ParsedPage(try CompressionPage.html(from: SampleDocuments.report())))
        #expect(page.text.contains("dense"))
        #expect(page.text.contains("cut at 38"))
        #expect(page.text.contains("1 matrix: no smaller"))
        #expect(page.text.contains("lowrank compress 'my model' -o small --keep 0.6"))
        // Three maps (weights, ranks, energy), a chart for each role with a spectrum, stages and roles.
        #expect(page.elements["svg"] == 3 + 1 + 2)
    }

    @Test("every bond of a train has a chart with its own cut")
    func bonds() throws {
        var report = SampleDocuments.report()
        var matrices = try #require(report["tensors"]?.array)
        let bond: (String, Int) -> JSON = { name, rank in
            ["name": JSON(name), "rank": JSON(rank), "indices": [1, 4, 16], "values": [2, 1, 0.5]]
        }
        for index in 0..<2 {
            matrices[index]["spectrum"] = nil
            matrices[index]["rank"] = nil
            matrices[index]["ranks"] = [1, 4, 7, 1]
            matrices[index]["spectra"] = [bond("bond 1", 4), bond("bond 2", 7)]
        }
        report["tensors"] = .array(matrices)
        let page = try #require(ParsedPage(try CompressionPage.html(from: report)))
        for words in ["query, bond 1", "query, bond 2", "cut at 4", "cut at 7"] {
            #expect(page.text.contains(words), "\(words)")
        }
        #expect(page.elements["svg"] == 3 + 2 + 2)
    }

    @Test("nothing on the page is fetched")
    func selfContained() throws {
        for text in [
            try CompressionPage.html(from: SampleDocuments.report()), try SweepPage.html(from: SampleDocuments.sweep()),
        ] {
            let page = try #require(ParsedPage(text))
            for attribute in page.attributes where ["src", "href", "action"].contains(attribute.name) {
                #expect(attribute.value == "data:,")
            }
            #expect(!text.contains("url(") && !text.contains("@import"))
        }
    }

    @Test(
        "names are text whatever they contain",
        arguments: [
            "<script>alert(1)</script>", "\" onload=\"alert(1)", "']]></title><b>", "a\u{0}b\u{1f}c", "</svg>&lt;&#0;",
        ])
    func hostileNames(name: String) throws {
        let plain = try #require(ParsedPage(try CompressionPage.html(from: SampleDocuments.report())))
        let text = try CompressionPage.html(from: SampleDocuments.report(firstName: name))
        let page = try #require(ParsedPage(text))
        #expect(page.elements == plain.elements)
        #expect(page.attributes.count == plain.attributes.count)
        #expect(page.attributes.allSatisfy { !$0.name.hasPrefix("on") })
        let markdown = try CompressionMarkdown.text(from: SampleDocuments.report(firstName: name))
        #expect(!markdown.contains("<script") && !markdown.contains("<b>"))
    }

    @Test("Markdown has the totals, the largest error and the command")
    func markdown() throws {
        let text = try CompressionMarkdown.text(from: SampleDocuments.report())
        #expect(text.contains("| parameters | 1.08 M (1,078,656) | 722 k (722,496) | 67.0 % |"))
        #expect(text.contains("| weights | 0.3536 | 0.4 | model.layers.1.self\\_attn.q\\_proj.weight |"))
        #expect(text.contains("- 1: no smaller"))
        #expect(text.contains("lowrank compress 'my model' -o small --keep 0.6"))
    }

    @Test("the line for a log is one line that begins with its name")
    func line() throws {
        let line = try CompressionMarkdown.line(from: SampleDocuments.report())
        #expect(line.hasPrefix("summary: tiny svd --keep 0.6; 2.16 MB -> 1.44 MB; parameters 1.08 M -> 722 k (67.0 %)"))
        #expect(!line.contains("\n"))
    }

    @Test("a page of ten thousand experts stays below two megabytes")
    func manyExperts() throws {
        var report = SampleDocuments.report()
        let matrix = try #require(report["tensors"]?[0])
        report["tensors"] = .array(
            (0..<12_000).map { index in
                var expert = matrix
                expert["name"] = JSON("model.layers.\(index / 384).mlp.experts.\(index % 128).up_proj.weight")
                expert["layer"] = JSON(index / 384)
                expert["role"] = JSON("expert.\(["up", "gate", "down"][index / 128 % 3])")
                return expert
            })
        #expect(try CompressionPage.html(from: report).utf8.count < 2_000_000)
    }

    @Test("what is no report is refused with what was found")
    func refusals() throws {
        #expect(throws: ReportingError.unknownDocument("report_version 7")) {
            try CompressionPage.html(from: ["report_version": 7])
        }
        #expect(throws: ReportingError.unknownDocument("sweep_version missing")) {
            try SweepPage.html(from: [:] as JSON)
        }
        #expect(throws: ReportingError.missing("totals")) { try CompressionPage.html(from: ["report_version": 1]) }
    }
}
