import Checkpoints
import CommandLineKit
import CompressionCore
import Reporting
import Safetensors

/// What a compression did: report.json, version 1.
///
/// Everything in it is measured on what was written. Bytes are those of tensors; headers of the weight files come on
/// top. Multiply-adds are those of one token: every linear layer once, of experts as many as the router chooses, and
/// a head that is the embedding.
public struct CompressionReport: Sendable {
    /// Numbers and bytes in the tensors of the output; positions are bytes and no parameters.
    public struct Stored: Sendable {
        let parameters: Int
        let bytes: Int
    }

    public let json: JSON
    public let parameters: Int
    public let bytes: Int
    let source: String
    let target: String
    let lines: [ModuleResult]
    /// How the method does beside a control, where one was asked for.
    let control: ControlComparison?

    init(
        _ outline: CompressionOutline, _ checkpoint: Checkpoint, _ results: [ModuleResult], stored: Stored,
        run: RunFacts
    ) throws {
        parameters = stored.parameters
        bytes = stored.bytes
        lines = results
        control = ControlComparison(results, method: outline.method)
        source = checkpoint.path
        target = outline.target
        let totals = try Self.totals(checkpoint, results, stored, run)
        var json: JSON = [
            "report_version": 1,
            "program": [
                "name": JSON(ProgramIdentity.name), "version": JSON(ProgramIdentity.version),
                "isa": JSON(run.instructionSet), "threads": JSON(run.threads),
            ],
            "command": JSON(run.commandLine),
            "source": [
                "name": JSON(outline.sourceName),
                "fingerprint": JSON(try checkpoint.fingerprint()),
                "architecture": checkpoint.modelType.map { JSON($0) } ?? .null,
                "parameters": JSON(checkpoint.parameterCount), "bytes": JSON(checkpoint.byteCount),
                "compressed": JSON(checkpoint.isCompressed),
            ],
            "method": JSON(outline.method),
            "options": .object(JSONObject(outline.options.map { (key: $0.name, value: JSON($0.value)) })),
            "target": JSON(target), "totals": totals,
            "stages": .array(Self.stages(run, results)),
            "tensors": .array(results.map(\.report)),
        ]
        json["control"] = control?.json
        self.json = json
    }

    /// Where the time of the run went, and of compressing, as far as the methods say.
    private static func stages(_ run: RunFacts, _ results: [ModuleResult]) -> [JSON] {
        var parts = StageTimes()
        for result in results {
            for (name, seconds) in result.report["stage_seconds"]?.object?.entries ?? [] {
                parts.add(name, seconds.double ?? 0)
            }
        }
        return run.stages.map { stage in
            var json: JSON = ["name": JSON(stage.name), "seconds": JSON(stage.seconds)]
            if stage.name == "compress", !parts.entries.isEmpty {
                json["parts"] = .array(parts.entries.map { ["name": JSON($0.name), "seconds": JSON($0.seconds)] })
            }
            return json
        }
    }

    private static func totals(
        _ checkpoint: Checkpoint, _ results: [ModuleResult], _ stored: Stored, _ run: RunFacts
    ) throws -> JSON {
        let selected = Set(results.map(\.name))
        let dense = checkpoint.compressibleModules.reduce(0) {
            $0 + (selected.contains($1.name) ? $1.parameters : 0)
        }
        let kept = results.reduce(0) { $0 + $1.parameters }
        let macs = Dictionary(uniqueKeysWithValues: results.map { ($0.name, $0.macs) })
        let denseMACs = try multiplyAdds(of: checkpoint) { $0.parameters }
        let newMACs = try multiplyAdds(of: checkpoint) { macs[$0.name] ?? $0.storedParameters }
        return [
            "dense_parameters": JSON(checkpoint.denseParameterCount), "parameters": JSON(stored.parameters),
            "dense_bytes": JSON(checkpoint.denseByteCount), "bytes": JSON(stored.bytes), "dense_macs": JSON(denseMACs),
            "macs": JSON(newMACs), "keep_compressed": JSON(Double(kept) / Double(max(dense, 1))),
            "keep_model": JSON(Double(stored.parameters) / Double(max(checkpoint.denseParameterCount, 1))),
            "seconds": JSON(run.seconds), "peak_rss_bytes": JSON(run.peakResidentBytes),
        ]
    }

    /// Multiply-adds of one token, given those of each linear layer.
    private static func multiplyAdds(of checkpoint: Checkpoint, _ cost: (LinearModule) -> Int) throws -> Int {
        let always = checkpoint.compressibleModules.filter { $0.expert == nil }.reduce(0) { $0 + cost($1) }
        let experts = checkpoint.compressibleModules.filter { $0.expert != nil }.reduce(0) { $0 + cost($1) }
        var head = 0
        if case .absent(let embedding) = try checkpoint.tiedHead() {
            head = checkpoint.tensor(named: embedding)?.elementCount ?? 0
        }
        let total = checkpoint.dimensions.experts ?? 1
        let chosen = min(checkpoint.config["num_experts_per_tok"]?.int ?? total, total)
        return always + head + experts * chosen / max(total, 1)
    }

    // MARK: For people

    /// Where the time went, in a line; parts of a stage in brackets.
    public var times: String {
        func text(_ stages: JSON?) -> String {
            (stages?.array ?? []).map { stage in
                let own = "\(stage["name"]?.string ?? "") \(Quantity.duration(stage["seconds"]?.double ?? 0))"
                return stage["parts"] == nil ? own : own + " (" + text(stage["parts"]) + ")"
            }.joined(separator: ", ")
        }
        return text(json["stages"])
    }

    /// The end of a run in a few lines.
    public func summary(output: String) -> String {
        let totals = json["totals"] ?? .null
        func count(_ key: String) -> Int { totals[key]?.int ?? 0 }
        func share(_ key: String) -> String { Quantity.percent(totals[key]?.double ?? 0) }
        var table = TextTable([.left(""), .right("before"), .right("after"), .right("kept")])
        func add(_ title: String, _ before: Int, _ after: Int, _ text: (Int) -> String) {
            let kept = before > 0 ? Quantity.percent(Double(after) / Double(before)) : "–"
            table.add([title, text(before), text(after), kept])
        }
        add("parameters", count("dense_parameters"), count("parameters"), Quantity.grouped)
        add("tensor bytes", count("dense_bytes"), count("bytes"), Quantity.grouped)
        add("multiply-adds per token", count("dense_macs"), count("macs"), Quantity.grouped)
        let dense = lines.filter { !$0.isCompressed }
        let worst = lines.filter(\.isCompressed).max { $0.relativeError < $1.relativeError }
        var text = "\(lines.count - dense.count) of \(lines.count) selected matrices compressed to "
            + "\(share("keep_compressed")) of their parameters (\(target))\n\n\(table.text())\n"
        if let control { text += control.text + "\n" }
        if let worst {
            text += "largest relative error \(Quantity.significant(worst.relativeError, 4)) in \(worst.name)\n"
        }
        for result in dense.prefix(Self.denseLines) {
            let verdict = result.isDense ? "kept dense" : "kept as it was"
            text += "\(verdict): \(result.name): \(result.keptDenseReason ?? "")\n"
        }
        let others = dense.count - Self.denseLines
        if others > 0 { text += "not compressed: \(others) more, see report.json\n" }
        return text + "wrote \(output) in \(Quantity.duration(totals["seconds"]?.double ?? 0)), peak memory "
            + "\(ByteCount.human(count("peak_rss_bytes")))\n"
            + ((try? CompressionMarkdown.line(from: json)) ?? "")
    }

    /// Matrices named one by one in the summary.
    private static let denseLines = 5
}
