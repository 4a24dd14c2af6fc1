import Safetensors
import Testing

@testable import Reporting

@Suite("sweep.html")
struct SweepPageTests {
    @Test("the front is what nothing beats in both size and quality")
    func front() throws {
        let record = try SweepRecord(SampleDocuments.sweep())
        #expect(record.quality == .perplexity)
        #expect(record.front(.perplexity) == [3, 1, 0])
        #expect(record.front(.relativeError) == [3, 1, 0])
    }

    @Test("quality is the error of the weights where a perplexity is missing")
    func missingPerplexity() throws {
        let record = try SweepRecord(SampleDocuments.sweep(perplexities: [4.2, nil, 6, 40]))
        #expect(record.quality == .relativeError)
    }

    @Test(
        "the best result for a limit",
        arguments: [
            (SweepLimit.bytes(750_000_000), 1), (.bytes(850_000_000), 1), (.bytes(2_000_000_000), 0), (.bytes(1), nil),
            (.perplexity(5), 1), (.perplexity(4.9), 0), (.perplexity(1), nil), (.relativeError(0.4), 3),
        ] as [(SweepLimit, Int?)])
    func recommendation(limit: SweepLimit, expected: Int?) throws {
        #expect(limit.recommended(try SweepRecord(SampleDocuments.sweep())) == expected)
    }

    @Test("the page is well-formed, has every result in plot and table, and says what it recommends")
    func page() throws {
        let text = try SweepPage.html(from: SampleDocuments.sweep(), limit: .bytes(750_000_000))
        let page = try #require(ParsedPage(text))
        #expect(page.attributes.filter { $0.name == "data-point" }.count == 8)
        #expect(page.attributes.filter { $0.name == "data-row" }.map(\.value).sorted() == ["0", "1", "2", "3"])
        #expect(page.text.contains("at most 750 MB"))
        #expect(page.text.contains("size of the tensors, GB"))
        #expect(page.text.contains("svd --keep 0.7 --storage pivot; 700 MB"))
    }

    @Test("without results the page stays well-formed")
    func empty() throws {
        var sweep = SampleDocuments.sweep()
        sweep["points"] = []
        #expect(ParsedPage(try SweepPage.html(from: sweep)) != nil)
    }
}

@Suite("Axes")
struct AxisTests {
    @Test(
        "ticks are round and lie inside the axis",
        arguments: [([0.0, 1], false), ([3, 1800], true), ([4.0, 4.4], false), ([5, 5], false), ([1e-4, 1], true)])
    func ticks(values: [Double], isLogarithmic: Bool) {
        let axis = Axis(values, isLogarithmic: isLogarithmic, from: 0, to: 100)
        let ticks = axis.ticks(atMost: 6)
        #expect((2...7).contains(ticks.count))
        #expect(ticks.allSatisfy { $0 >= axis.low * 0.999 && $0 <= axis.high * 1.001 })
        #expect(axis.position(of: axis.low) == 0 && axis.position(of: axis.high) == 100)
    }

    @Test("labels", arguments: [(0.05, "0.05"), (1000, "1000"), (1e-4, "10⁻⁴"), (2e-5, "2·10⁻⁵"), (0, "0")])
    func labels(value: Double, text: String) { #expect(Axis.label(value) == text) }
}
