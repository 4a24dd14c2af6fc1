import CompressionCore
import Safetensors

/// What became of one selected matrix: its line in the report, and what config.json says of it.
///
/// Kept in the journal, so that a resumed run reports what the first one measured.
struct ModuleResult {
    /// Module name.
    let name: String
    /// Its object in the report.
    let report: JSON
    /// Its entry in `low_rank_modules`; nil where it stays dense.
    let entry: JSON?
    /// Names of the tensors it is stored as, without those that an earlier module of its group has brought along.
    let tensors: [String]

    init(name: String, report: JSON, entry: JSON?, tensors: [String]) {
        self.name = name
        self.report = report
        self.entry = entry
        self.tensors = tensors
    }

    init?(record: JSON) {
        guard let name = record["module"]?.string, let report = record["report"] else { return nil }
        self.init(
            name: name, report: report, entry: record["entry"],
            tensors: record["tensors"]?.array?.compactMap(\.string) ?? [])
    }

    var record: JSON {
        var record: JSON = ["module": JSON(name), "report": report, "tensors": JSON(tensors)]
        record["entry"] = entry
        return record
    }

    var isCompressed: Bool { entry != nil }
    /// Whether the layer is stored as a plain matrix; one that was compressed before may stay as it was.
    var isDense: Bool { report["schema"]?.string == DenseOperator.schema }
    var schema: String? { entry?["schema"]?.string }
    var parameters: Int { report["parameters"]?.int ?? 0 }
    var macs: Int { report["macs"]?.int ?? 0 }
    var relativeError: Double { report["relative_error"]?.double ?? 0 }
    var keptDenseReason: String? { report["kept_dense_reason"]?.string }

    /// `rank 48`, `ranks 8 × 8`, or nothing.
    var ranks: String {
        if let rank = report["rank"]?.int { return "rank \(rank)" }
        guard let ranks = report["ranks"]?.array else { return "" }
        return "ranks " + ranks.compactMap { $0.int.map(String.init) }.joined(separator: " × ")
    }
}
