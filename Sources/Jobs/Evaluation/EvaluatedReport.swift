import Foundation
import Safetensors

/// The report of a compressed folder, which takes the figures of evaluations.
///
/// They stand in `evaluation` as `eval --json` prints them, without what depends on the machine. Those of another text
/// take the place of the earlier ones, those of choices the place of earlier choices. The pages beside the report are
/// made again.
struct EvaluatedReport {
    private let folder: String
    private var path: String { folder + "/report.json" }

    /// What depends on the machine and not on the model.
    private static let ephemeral = ["tokens_per_second", "peak_rss_bytes"]
    private static let choices = "choices"

    /// - Throws: `JobError.usage` where the folder has no report of a compression.
    init(folder: String) throws {
        self.folder = folder
        guard FileManager.default.fileExists(atPath: path) else {
            throw JobError.usage(
                "--report: \(folder) has no report.json to write the figures into; compress writes one "
                    + "beside its output")
        }
        guard try JSON.parse(file: path)["report_version"]?.int == 1 else {
            throw JobError.usage("--report: \(path) is not the report of a compression, version 1")
        }
    }

    func add(_ result: EvalResult) throws {
        // Read again: another evaluation may have ended meanwhile.
        var report = try JSON.parse(file: path)
        report["evaluation"] = Self.evaluation(result, earlier: report["evaluation"])
        try ReportFiles.write(report, to: folder)
    }

    static func evaluation(_ result: EvalResult, earlier: JSON?) -> JSON {
        let found = result.json
        guard result.text != nil else {
            var evaluation = earlier ?? [:]
            evaluation[choices] = found[choices]
            return evaluation
        }
        var evaluation = found
        for name in ephemeral { evaluation[name] = nil }
        evaluation[choices] = found[choices] ?? earlier?[choices]
        return evaluation
    }
}
