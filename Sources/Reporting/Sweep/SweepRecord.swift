import Safetensors

/// What sweep.json says, as its page needs it.
struct SweepRecord {
    let program: String
    let source: String
    let command: [String]
    /// The model that was compressed.
    let sourceParameters: Int?
    let sourceBytes: Int?
    let sourcePerplexity: Double?
    let points: [Point]

    /// A result of the sweep.
    struct Point {
        let method: String
        /// Options of the method and the target in words, such as `--keep 0.8`.
        let description: String
        let keepCompressed: Double?
        let keepModel: Double?
        let parameters: Int
        let bytes: Int
        let macs: Int?
        let relativeError: Double?
        let activationError: Double?
        let perplexity: Double?
        let seconds: Double?
        let output: String?
    }

    init(_ json: JSON) throws(ReportingError) {
        guard json["sweep_version"]?.int == 1 else {
            throw .unknownDocument("sweep_version \(json["sweep_version"]?.text(pretty: false) ?? "missing")")
        }
        guard let points = json["points"]?.array else { throw .missing("points") }
        let programName = json["program"]?["name"]?.string ?? json["program"]?.string ?? "lowrank"
        program = programName + (json["program"]?["version"]?.string.map { " " + $0 } ?? "")
        source = json["source"]?["name"]?.string ?? "model"
        command = json["command"]?.array?.compactMap(\.string) ?? json["command"]?.string.map { [$0] } ?? []
        sourceParameters = json["source"]?["parameters"]?.int
        sourceBytes = json["source"]?["bytes"]?.int
        sourcePerplexity = json["source"]?["perplexity"]?.double
        self.points = try points.map { (point) throws(ReportingError) in try Point(point) }
    }

    /// Quality of a point, the smaller the better: what all points have of perplexity, error of outputs, error of
    /// weights.
    var quality: Quality {
        func all(_ figure: KeyPath<Point, Double?>) -> Bool {
            !points.isEmpty && points.allSatisfy { $0[keyPath: figure]?.isFinite ?? false }
        }
        if all(\.perplexity) { return .perplexity }
        return all(\.activationError) ? .activationError : .relativeError
    }

    /// Points that no other beats in both size and quality, by size.
    func front(_ quality: Quality) -> [Int] {
        var best = Double.infinity
        let order = points.indices.sorted {
            (points[$0].bytes, quality.value(points[$0]) ?? .infinity) < (
                points[$1].bytes, quality.value(points[$1]) ?? .infinity
            )
        }
        return order.filter { index in
            guard let value = quality.value(points[index]), value < best else { return false }
            best = value
            return true
        }
    }
}

extension SweepRecord {
    /// What the vertical axis shows.
    enum Quality {
        case perplexity, activationError, relativeError

        var title: String {
            switch self {
            case .perplexity: "perplexity"
            case .activationError: "relative error of outputs"
            case .relativeError: "relative error of weights"
            }
        }

        func value(_ point: Point) -> Double? {
            switch self {
            case .perplexity: point.perplexity
            case .activationError: point.activationError
            case .relativeError: point.relativeError
            }
        }
    }
}

extension SweepRecord.Point {
    init(_ json: JSON) throws(ReportingError) {
        guard let method = json["method"]?.string, let bytes = json["bytes"]?.int,
            let parameters = json["parameters"]?.int
        else { throw .missing("points[]: method, bytes and parameters") }
        self.method = method
        self.bytes = bytes
        self.parameters = parameters
        let target = json["target"]?["kind"]?.string.map { kind in
            let value = json["target"]?["value"]
            let text = value?.string ?? value?.text(pretty: false) ?? ""
            return "\(kind.hasPrefix("--") ? "" : "--")\(kind) \(text)"
        }
        let options = (json["options"]?.object?.entries ?? []).map {
            "--\($0.key) \($0.value.string ?? $0.value.text(pretty: false))"
        }
        description = ([target ?? json["target"]?.string].compactMap { $0 } + options).joined(separator: " ")
        keepCompressed = json["keep_compressed"]?.double
        keepModel = json["keep_model"]?.double
        macs = json["macs"]?.int
        relativeError = json["relative_error"]?.double
        activationError = json["activation_error"]?.double
        perplexity = json["perplexity"]?.double
        seconds = json["seconds"]?.double
        output = json["output"]?.string
    }
}
