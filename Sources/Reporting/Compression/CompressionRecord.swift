import Safetensors

/// What report.json says, as the pages need it. A figure that a report does not have is nil and left out of the page.
struct CompressionRecord {
    let program: String
    let instructionSet: String?
    let threads: Int?
    let command: [String]
    let source: String
    let architecture: String?
    let method: String
    let target: String
    let options: [(name: String, value: String)]
    let totals: Totals
    let stages: [(name: String, seconds: Double)]
    let matrices: [MatrixRecord]
    /// nil where the result was not evaluated.
    let evaluation: EvaluationRecord?

    /// Before and after.
    struct Totals {
        let parameters: (before: Int, after: Int)
        let bytes: (before: Int, after: Int)
        let macs: (before: Int, after: Int)
        /// Of the selected matrices.
        let keepCompressed: Double
        let keepModel: Double
        let seconds: Double
        let peakBytes: Int?
    }

    init(_ json: JSON) throws(ReportingError) {
        guard json["report_version"]?.int == 1 else {
            throw .unknownDocument("report_version \(json["report_version"]?.text(pretty: false) ?? "missing")")
        }
        guard let totals = json["totals"], let tensors = json["tensors"]?.array else { throw .missing("totals") }
        let name = json["program"]?["name"]?.string ?? "lowrank"
        program = name + " " + (json["program"]?["version"]?.string ?? "")
        instructionSet = json["program"]?["isa"]?.string
        threads = json["program"]?["threads"]?.int
        command = json["command"]?.array?.compactMap(\.string) ?? []
        source = json["source"]?["name"]?.string ?? "model"
        architecture = json["source"]?["architecture"]?.string
        method = json["method"]?.string ?? ""
        target = json["target"]?.string ?? ""
        options = (json["options"]?.object?.entries ?? []).map {
            ($0.key, $0.value.string ?? $0.value.text(pretty: false))
        }
        self.totals = try Totals(totals)
        stages = (json["stages"]?.array ?? []).compactMap { stage in
            guard let name = stage["name"]?.string, let seconds = stage["seconds"]?.double else { return nil }
            return (name, seconds)
        }
        matrices = try tensors.map { (tensor) throws(ReportingError) in try MatrixRecord(tensor) }
        evaluation = json["evaluation"].map { EvaluationRecord($0) }
    }

    var compressed: [MatrixRecord] { matrices.filter { $0.keptDenseReason == nil } }

    /// The matrix with the largest relative error.
    var worst: MatrixRecord? {
        compressed.max { ($0.relativeError ?? 0) < ($1.relativeError ?? 0) }
    }

    /// Root mean square of a figure over the compressed matrices; nil where none has it.
    func rootMeanSquare(_ figure: (MatrixRecord) -> Double?) -> Double? {
        let values = compressed.compactMap(figure)
        guard !values.isEmpty else { return nil }
        return (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
    }
}

extension CompressionRecord.Totals {
    init(_ json: JSON) throws(ReportingError) {
        func pair(_ before: String, _ after: String) throws(ReportingError) -> (Int, Int) {
            guard let first = json[before]?.int, let second = json[after]?.int else {
                throw .missing("totals.\(after)")
            }
            return (first, second)
        }
        parameters = try pair("dense_parameters", "parameters")
        bytes = try pair("dense_bytes", "bytes")
        macs = try pair("dense_macs", "macs")
        keepCompressed = json["keep_compressed"]?.double ?? 1
        keepModel = json["keep_model"]?.double ?? 1
        seconds = json["seconds"]?.double ?? 0
        peakBytes = json["peak_rss_bytes"]?.int
    }
}
