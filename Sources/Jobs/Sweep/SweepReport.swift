import Checkpoints
import CommandLineKit
import Foundation
import Kernels
import Planning
import Safetensors

/// What a sweep found: `sweep.json` (version 1), from which its page is made, and `sweep.csv`.
///
/// The figures of a point are those of `compress` and `eval` with the same options. Its errors are means over the
/// selected matrices, where one that stays dense counts as 0.
public struct SweepReport: Sendable {
    /// A point with what was measured.
    public struct Point: Sendable {
        let label: String
        let title: String
        let target: String
        /// As in `sweep.json`.
        public let json: JSON
    }

    public let json: JSON
    public let points: [Point]

    /// - Parameter evaluation: what was scored, and the loss of the source.
    init(
        _ request: SweepRequest, _ checkpoint: Checkpoint, _ points: [Point],
        evaluation: (json: JSON, source: SweepEvaluation.Score)?
    ) throws {
        self.points = points
        var source: JSON = [
            "name": JSON(URL(fileURLWithPath: request.checkpoint).standardizedFileURL.lastPathComponent),
            "fingerprint": JSON(try checkpoint.fingerprint()),
            "architecture": checkpoint.modelType.map { JSON($0) } ?? .null,
            "parameters": JSON(checkpoint.parameterCount), "bytes": JSON(checkpoint.byteCount),
        ]
        if let evaluation { source["perplexity"] = JSON(evaluation.source.perplexity) }
        var json: JSON = [
            "sweep_version": 1,
            "program": [
                "name": JSON(ProgramIdentity.name), "version": JSON(ProgramIdentity.version),
                "isa": JSON(InstructionSet.active.rawValue), "threads": JSON(Threads.count),
            ],
            "source": source, "command": JSON(request.commandLine),
        ]
        if let evaluation { json["evaluation"] = evaluation.json }
        json["points"] = .array(points.map(\.json))
        self.json = json
    }
}

extension SweepReport.Point {
    /// - Parameters:
    ///   - report: of the compression.
    ///   - output: where the checkpoint is, relative to the results; nil where it is not written.
    init(_ point: SweepPoint, _ report: CompressionReport, score: SweepEvaluation.Score?, output: String?) {
        label = point.label
        title = point.title
        let target = point.request.target
        self.target = target.short
        let totals = report.json["totals"]
        var json: JSON = [
            "label": JSON(point.label), "method": JSON(point.request.method),
            "options": .object(JSONObject(point.options.map { (key: $0.name, value: JSON($0.value)) })),
            "target": ["kind": JSON(target.parts.kind)],
        ]
        // None where the options of the method state the size.
        if !target.parts.value.isNull { json["target"]?["value"] = target.parts.value }
        for key in ["keep_compressed", "keep_model", "parameters", "bytes", "macs"] {
            json[key] = totals?[key] ?? .null
        }
        json["relative_error"] = JSON(Self.mean(report.lines.map(\.relativeError)))
        let activation = report.lines.map { $0.report["activation_error"]?.double }
        let isKnown = activation.contains { $0 != nil }
        json["activation_error"] = isKnown ? JSON(Self.mean(activation.map { $0 ?? 0 })) : .null
        json["perplexity"] = score.map { JSON($0.perplexity) } ?? .null
        json["perplexity_standard_error"] = score.map { JSON($0.perplexity * $0.standardError) } ?? .null
        json["seconds"] = totals?["seconds"] ?? .null
        json["output"] = output.map { JSON($0) }
        self.json = json
    }

    private static func mean(_ values: [Double]) -> Double {
        values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
    }
}

// MARK: - CSV

extension SweepReport {
    private static let columns = [
        "keep_compressed", "keep_model", "parameters", "bytes", "macs", "relative_error", "activation_error",
        "perplexity", "seconds",
    ]

    /// One line a point; what was not measured is empty.
    public var csv: String {
        let heading = ["method", "target"] + Self.columns + ["options"]
        let rows = points.map { point -> [String] in
            let figures = Self.columns.map { column -> String in
                guard let value = point.json[column], !value.isNull else { return "" }
                return value.text(pretty: false)
            }
            let options = point.json["options"]?.object?.entries.map { "\($0.key)=\($0.value.string ?? "")" } ?? []
            return [point.json["method"]?.string ?? "", point.target] + figures + [options.joined(separator: " ")]
        }
        return ([heading] + rows).map { $0.map(Self.field).joined(separator: ",") + "\n" }.joined()
    }

    /// Between quotes where a reader would not see it as one field (RFC 4180).
    private static func field(_ text: String) -> String {
        guard text.contains(where: { ",\"\n\r".contains($0) }) else { return text }
        return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
    }
}

// MARK: - For people

extension SweepReport {
    /// A line a point.
    public func summary(output: String, width: Int = 80) -> String {
        let isScored = json["evaluation"] != nil
        var columns: [TextTable.Column] = [
            .left("point", shrinks: true), .right("kept"), .right("bytes"), .right("multiply-adds"), .right("error"),
        ]
        if isScored { columns.append(.right("perplexity")) }
        var table = TextTable(columns)
        for point in points {
            func number(_ key: String) -> Double { point.json[key]?.double ?? 0 }
            var cells = [
                "\(point.title) \(point.target)", Quantity.percent(number("keep_compressed")),
                Quantity.grouped(point.json["bytes"]?.int ?? 0), Quantity.grouped(point.json["macs"]?.int ?? 0),
                Quantity.significant(number("relative_error"), 4),
            ]
            if isScored {
                cells.append(point.json["perplexity"]?.double.map { Quantity.significant($0, 5) } ?? "infinite")
            }
            table.add(cells)
        }
        var text = table.text(width: width)
        if let dense = json["source"]?["perplexity"]?.double {
            text += "perplexity of the source: \(Quantity.significant(dense, 5))\n"
        }
        let seconds = points.reduce(0) { $0 + ($1.json["seconds"]?.double ?? 0) }
        return text + "wrote \(points.count) points to \(output), \(Quantity.duration(seconds)) of compressing\n"
    }
}
