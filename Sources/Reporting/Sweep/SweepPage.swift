import CommandLineKit
import Foundation
import Safetensors

/// sweep.html: the results of a sweep as a plot of size against quality, the best one for a limit, and a table.
public enum SweepPage {
    /// - Parameters:
    ///   - data: sweep.json, version 1.
    ///   - limit: what the recommended point must keep to; the reader can state another on the page.
    public static func html(from data: Data, limit: SweepLimit? = nil) throws -> String {
        try html(from: try data.withUnsafeBytes { try JSON.parse($0) }, limit: limit)
    }

    /// - Parameter sweep: sweep.json, version 1.
    public static func html(from sweep: JSON, limit: SweepLimit? = nil) throws(ReportingError) -> String {
        let record = try SweepRecord(sweep)
        let quality = record.quality
        let limit = limit ?? record.usualLimit
        let plot = ParetoPlot(
            record: record, quality: quality, front: record.front(quality),
            recommended: limit.flatMap { $0.recommended(record) })
        let methods = Set(record.points.map(\.method)).count
        let title = "\(record.points.count) results of \(methods) \(methods == 1 ? "method" : "methods")"
        let body: Markup = """
            <header>
            <h1>\(record.source): \(title)</h1>
            <p class="quiet">\(origin(of: record))</p>
            </header>
            \(Page.section("Size against quality", chart(plot)))
            \(Page.section("Recommended", recommendation(plot, limit)))
            \(Page.section("All results", table(plot)))
            \(Page.section("Run it again", "<pre><code>\(ShellWords.text(record.command))</code></pre>"))
            """
        return Page(title: "\(record.source): sweep", body: body, script: SweepScript.text).text
    }

    /// The best result that keeps to a limit, in one line, or that there is none.
    public static func recommendation(
        from sweep: JSON, limit: SweepLimit
    ) throws(ReportingError) -> (line: String, isFound: Bool) {
        let record = try SweepRecord(sweep)
        guard let index = limit.recommended(record) else { return (noResult(limit), false) }
        return ("recommended for \(limit.text): \(ParetoPlot.detail(of: record.points[index]))", true)
    }

    private static func noResult(_ limit: SweepLimit) -> String { "No result keeps to the limit: \(limit.text)." }

    private static func origin(of record: SweepRecord) -> String {
        [
            record.program, record.sourceParameters.map { "source \(HumanCount.human($0)) parameters" },
            record.sourceBytes.map { ByteCount.human($0) },
            record.sourcePerplexity.map { "perplexity \(Quantity.significant($0, 5))" },
        ].compactMap { $0 }.joined(separator: ", ")
    }

    private static func chart(_ plot: ParetoPlot) -> Markup? {
        guard plot.record.points.contains(where: { plot.quality.value($0) != nil }) else { return nil }
        let first = plot.recommended.map { ParetoPlot.detail(of: plot.record.points[$0]) }
        return """
            \(plot.legend)
            \(plot.pictures)
            <div class="readout" id="readout" aria-live="polite">\(first ?? "Point at a result, or tap it.")</div>
            """
    }

    private static func recommendation(_ plot: ParetoPlot, _ limit: SweepLimit?) -> Markup {
        let stated: Markup
        if let limit, let index = plot.recommended {
            stated = "<strong>\(ParetoPlot.detail(of: plot.record.points[index]))</strong> (\(limit.text))"
        } else {
            stated = "\(limit.map(noResult) ?? "State a limit.")"
        }
        return """
            <p id="recommended">\(stated)</p>
            <form class="limits" id="limits">
            <label for="kind">best result with</label>
            <select id="kind"><option value="bytes">size, MB, at most</option>\
            \(plot.quality == .perplexity ? "<option value=\"perplexity\">perplexity at most</option>" : .empty)\
            <option value="error">relative error of weights at most</option></select>
            <input id="limit" type="number" min="0" step="any" aria-label="limit" />
            </form>
            """
    }

    private static func table(_ plot: ParetoPlot) -> Markup? {
        let points = plot.record.points
        guard !points.isEmpty else { return nil }
        let order = points.indices.sorted { points[$0].bytes < points[$1].bytes }
        let front = Set(plot.front)
        let rows = order.map { row(points[$0], index: $0, isInFront: front.contains($0)) }
        let marked = Set(order.indices.filter { order[$0] == plot.recommended })
        return Page.table(
            [
                .text("method"), .text("target and options"), .text("in front"), .number("kept of selected"),
                .number("kept of model"), .number("parameters"), .number("size"), .number("multiply-adds"),
                .number("error of weights"), .number("error of outputs"), .number("perplexity"), .number("time"),
                .text("output"),
            ], rows, marking: marked)
    }

    /// The figures that the page's script compares are attributes of the first cell.
    private static func row(_ point: SweepRecord.Point, index: Int, isInFront: Bool) -> [Markup] {
        let attributes: Markup = """
            data-row="\(index)" data-bytes="\(point.bytes)" data-perplexity="\(number(point.perplexity))" \
            data-error="\(number(point.relativeError))" data-outputs="\(number(point.activationError))"
            """
        let texts = [
            isInFront ? "●" : "", point.keepCompressed.map { Quantity.percent($0) } ?? "–",
            point.keepModel.map { Quantity.percent($0) } ?? "–", Quantity.grouped(point.parameters),
            ByteCount.human(point.bytes), point.macs.map(HumanCount.human) ?? "–",
            CompressionPage.figure(point.relativeError, 4), CompressionPage.figure(point.activationError, 4),
            CompressionPage.figure(point.perplexity, 5), point.seconds.map(Quantity.duration) ?? "–",
            point.output ?? "–",
        ]
        return ["<span \(attributes)>\(point.method)</span>", "\(point.description)"]
            + texts.map { text -> Markup in "\(text)" }
    }

    private static func number(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
}
