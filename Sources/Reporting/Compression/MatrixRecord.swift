import Safetensors

/// Singular values of a matrix, or of one way to unfold it.
struct SpectrumRecord {
    /// The bond of a tensor train, or the mode of a stack; nil where the matrix has one spectrum.
    let name: String?
    /// Where it was cut.
    let rank: Int?
    /// A sample: index, from one, and value.
    let points: [(index: Int, value: Double)]

    /// nil where there is no value.
    init?(_ json: JSON, rank usual: Int?) {
        name = json["name"]?.string
        rank = json["rank"]?.int ?? usual
        let indices = json["indices"]?.array?.compactMap(\.int) ?? []
        let values = json["values"]?.array?.compactMap(\.double) ?? []
        points = zip(indices, values).map { ($0, $1) }.filter { $0.0 > 0 }
        if points.isEmpty { return nil }
    }
}

/// What report.json says of one selected matrix.
struct MatrixRecord {
    let name: String
    /// [out, in]
    let shape: [Int]
    let role: String
    let layer: Int?
    let schema: String
    let ranks: [Int]
    let parameters: Int
    let bytes: Int
    let macs: Int
    let relativeError: Double?
    let activationError: Double?
    let sequentialError: Double?
    let energyKept: Double?
    let solver: String?
    let seconds: Double
    let keptDenseReason: String?
    /// What its ranks cut off, as far as it is known.
    let spectra: [SpectrumRecord]

    init(_ json: JSON) throws(ReportingError) {
        guard let name = json["name"]?.string else { throw .missing("tensors[].name") }
        self.name = name
        shape = json["shape"]?.array?.compactMap(\.int) ?? []
        role = json["role"]?.string ?? Self.role(of: name)
        layer = json["layer"]?.int ?? (json["layer"] == nil ? Self.layer(of: name) : nil)
        schema = json["schema"]?.string ?? ""
        ranks = json["ranks"]?.array?.compactMap(\.int) ?? json["rank"]?.int.map { [$0] } ?? []
        parameters = json["parameters"]?.int ?? 0
        bytes = json["bytes"]?.int ?? 0
        macs = json["macs"]?.int ?? 0
        relativeError = json["relative_error"]?.double
        activationError = json["activation_error"]?.double
        sequentialError = json["sequential_error"]?.double
        energyKept = json["energy_kept"]?.double
        solver = json["solver"]?.string
        seconds = json["seconds"]?.double ?? 0
        keptDenseReason = json["kept_dense_reason"]?.string
        let rank = ranks.first
        let stored = json["spectra"]?.array ?? json["spectrum"].map { [$0] } ?? []
        spectra = stored.compactMap { SpectrumRecord($0, rank: rank) }
    }

    /// Numbers of the dense matrix.
    var denseParameters: Int { shape.reduce(1, *) }

    /// Share of its numbers that is stored; above one never.
    var keptShare: Double { Double(parameters) / Double(max(denseParameters, 1)) }

    var ranksText: String { ranks.isEmpty ? "–" : ranks.map(String.init).joined(separator: "×") }

    /// A role as short as the head of a column: `attention.query` is `query`.
    var shortRole: String {
        let parts = role.split(separator: ".")
        return parts.first == "attention" ? parts.dropFirst().joined(separator: " ") : parts.joined(separator: " ")
    }

    /// For reports without roles: the last part of the module's name.
    private static func role(of name: String) -> String {
        let parts = name.split(separator: ".")
        return String((parts.last == "weight" ? parts.dropLast() : parts[...]).last ?? "matrix")
    }

    /// For reports without layers: the first number in the name.
    private static func layer(of name: String) -> Int? {
        name.split(separator: ".").lazy.compactMap { Int($0) }.first
    }
}
