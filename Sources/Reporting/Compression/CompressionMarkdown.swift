import CommandLineKit
import Safetensors

/// report.md: the totals of a compression for the summary page of a CI job, and the line for its log.
public enum CompressionMarkdown {
    /// - Parameter report: report.json, version 1.
    public static func text(from report: JSON) throws(ReportingError) -> String {
        let record = try CompressionRecord(report)
        let totals = record.totals
        var lines = [
            "## \(escaped(record.source)): \(escaped(record.method)), \(escaped(record.target))", "",
            "\(record.compressed.count) of \(record.matrices.count) selected matrices compressed to "
                + "\(Quantity.percent(totals.keepCompressed)) of their parameters.", "",
            "| | before | after | kept |", "|---|---:|---:|---:|",
            row("parameters", totals.parameters, HumanCount.human, HumanCount.exact),
            row("tensor bytes", totals.bytes, ByteCount.human, Quantity.grouped),
            row("multiply-adds per token", totals.macs, HumanCount.human, HumanCount.exact),
        ]
        for figure in record.evaluation?.figures ?? [] {
            lines.append("| \(figure.name) | \(figure.before ?? "–") | \(figure.after) | |")
        }
        lines += ["", "| error | root mean square | largest | in |", "|---|---:|---:|---|"]
        lines += [
            errorRow("weights", record, \.relativeError), errorRow("outputs", record, \.activationError),
            errorRow("outputs in sequence", record, \.sequentialError),
        ].compactMap { $0 }
        lines += [""] + roleTable(record) + keptDense(record)
        lines += [
            "\(record.program), \(Quantity.duration(totals.seconds))"
                + (totals.peakBytes.map { ", peak memory \(ByteCount.human($0))" } ?? "") + ".", "",
        ]
        // A fence that no word of the command can close.
        let fence = String(repeating: "`", count: max(3, 1 + ShellWords.text(record.command).count { $0 == "`" }))
        lines += [fence + "sh", ShellWords.text(record.command), fence]
        return lines.joined(separator: "\n") + "\n"
    }

    /// One line for a log: what came out, to be found by its first word.
    public static func line(from report: JSON) throws(ReportingError) -> String {
        let record = try CompressionRecord(report)
        let totals = record.totals
        var parts = [
            "\(record.source) \(record.method) \(record.target)",
            "\(ByteCount.human(totals.bytes.before)) -> \(ByteCount.human(totals.bytes.after))",
            "parameters \(HumanCount.human(totals.parameters.before)) -> \(HumanCount.human(totals.parameters.after))"
                + " (\(Quantity.percent(totals.keepModel)))",
        ]
        if let worst = record.worst {
            parts.append("largest error \(CompressionPage.figure(worst.relativeError, 4)) in \(worst.name)")
        }
        if let perplexity = record.evaluation?.figures.first(where: { $0.name == "perplexity" }) {
            parts.append("perplexity " + (perplexity.before.map { $0 + " -> " } ?? "") + perplexity.after)
        }
        parts.append(Quantity.duration(totals.seconds))
        return "summary: " + parts.joined(separator: "; ")
    }

    private static func row(
        _ name: String, _ pair: (before: Int, after: Int), _ human: (Int) -> String, _ exact: (Int) -> String
    ) -> String {
        let share = pair.before > 0 ? Quantity.percent(Double(pair.after) / Double(pair.before)) : "–"
        let texts = [pair.before, pair.after].map { "\(human($0)) (\(exact($0)))" }
        return "| \(name) | \(texts[0]) | \(texts[1]) | \(share) |"
    }

    private static func errorRow(
        _ name: String, _ record: CompressionRecord, _ figure: (MatrixRecord) -> Double?
    ) -> String? {
        guard let mean = record.rootMeanSquare(figure),
            let worst = record.compressed.max(by: { (figure($0) ?? 0) < (figure($1) ?? 0) })
        else { return nil }
        return "| \(name) | \(CompressionPage.figure(mean, 4)) | \(CompressionPage.figure(figure(worst), 4)) | "
            + "\(escaped(worst.name)) |"
    }

    /// What the matrices of a role come to.
    private static func roleTable(_ record: CompressionRecord) -> [String] {
        let roles = record.compressed.reduce(into: [String]()) {
            if !$0.contains($1.shortRole) { $0.append($1.shortRole) }
        }
        guard !roles.isEmpty else { return [] }
        let rows = roles.map { role -> String in
            let matrices = record.compressed.filter { $0.shortRole == role }
            let kept =
                Double(matrices.reduce(0) { $0 + $1.parameters })
                / Double(max(1, matrices.reduce(0) { $0 + $1.denseParameters }))
            let ranks = matrices.compactMap { $0.ranks.count == 1 ? $0.ranks[0] : nil }
            let range = ranks.isEmpty ? "–" : "\(ranks.min() ?? 0)–\(ranks.max() ?? 0)"
            let errors = matrices.compactMap(\.relativeError)
            let mean = (errors.reduce(0) { $0 + $1 * $1 } / Double(max(1, errors.count))).squareRoot()
            return "| \(escaped(role)) | \(matrices.count) | \(range) | \(Quantity.percent(kept)) | "
                + "\(Quantity.significant(mean, 4)) |"
        }
        return ["| role | matrices | rank | kept | error of weights |", "|---|---:|---:|---:|---:|"] + rows + [""]
    }

    private static func keptDense(_ record: CompressionRecord) -> [String] {
        let dense = record.matrices.filter { $0.keptDenseReason != nil }
        guard !dense.isEmpty else { return [] }
        let reasons = Dictionary(grouping: dense) { $0.keptDenseReason ?? "" }.sorted { $0.key < $1.key }
        return ["Kept dense:", ""] + reasons.map { "- \($1.count): \(escaped($0)) (\(escaped($1[0].name)), …)" } + [""]
    }

    /// Text in which nothing is Markdown or HTML.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\", "`", "*", "_", "[", "]", "|", "#", "~", "!": result += "\\" + String(scalar)
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "&": result += "&amp;"
            case _ where scalar.value < 0x20: result += " "
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
