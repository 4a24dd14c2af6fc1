import Safetensors

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
    /// A sample of the singular values that the ranks were chosen by: index, from one, and value.
    let spectrum: [(index: Int, value: Double)]

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
        let indices = json["spectrum"]?["indices"]?.array?.compactMap(\.int) ?? []
        let values = json["spectrum"]?["values"]?.array?.compactMap(\.double) ?? []
        spectrum = zip(indices, values).map { ($0, $1) }.filter { $0.0 > 0 }
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
