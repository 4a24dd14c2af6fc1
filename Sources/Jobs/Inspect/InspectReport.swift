import Checkpoints
import Safetensors

/// What `inspect` found, ready to be shown as text or JSON.
public struct InspectReport: Sendable {
    public let checkpoint: Checkpoint
    public let tiedHead: TiedHead
    /// Of the layers compressed by default; nil where they were not asked for.
    public let spectra: [WeightSpectrum]?

    /// The family, else what config.json calls the model.
    public var architecture: String {
        checkpoint.architecture?.name ?? checkpoint.modelType ?? "unknown"
    }

    /// Layers that are compressed, or compressed further, unless the user says otherwise.
    var selected: [LinearModule] { checkpoint.compressibleModules.filter(\.selectedByDefault) }

    /// Tensors grouped in the order of `keys`, with their number, parameters and bytes; groups without a tensor left
    /// out.
    func groups<Key: Equatable>(by key: (CheckpointTensor) -> Key, in keys: [Key]) -> [(key: Key, group: TensorGroup)] {
        keys.compactMap { candidate in
            let tensors = checkpoint.tensors.filter { key($0) == candidate }
            return tensors.isEmpty ? nil : (candidate, TensorGroup(tensors))
        }
    }

    var roles: [(key: ModuleRole, group: TensorGroup)] { groups(by: \.role, in: ModuleRole.allCases) }
    var dtypes: [(key: TensorDType, group: TensorGroup)] { groups(by: \.dtype, in: TensorDType.allCases.reversed()) }
}

/// Sums over some tensors.
struct TensorGroup {
    let count: Int
    let parameters: Int
    let bytes: Int

    init(_ tensors: [CheckpointTensor]) {
        count = tensors.count
        parameters = tensors.reduce(0) { $0 + $1.elementCount }
        bytes = tensors.reduce(0) { $0 + $1.byteCount }
    }
}

// MARK: JSON

extension InspectReport {
    /// One document; tensors in natural order of names.
    public var json: JSON {
        var json: JSON = [
            "architecture": JSON(architecture), "parameters": JSON(checkpoint.parameterCount),
            "bytes": JSON(checkpoint.byteCount), "compressed": JSON(checkpoint.isCompressed),
            "tied_head": JSON(tiedHead.isTied), "files": .array(checkpoint.files.map(Self.json)),
            "dtypes": Self.json(dtypes.map { ($0.key.rawValue, $0.group) }),
            "roles": Self.json(roles.map { ($0.key.rawValue, $0.group) }),
            "selected": [
                "modules": JSON(selected.count), "parameters": JSON(selected.reduce(0) { $0 + $1.storedParameters }),
            ],
            "tensors": .array(checkpoint.tensors.map(Self.json)),
            "warnings": JSON(checkpoint.warnings.map(\.description)),
        ]
        if checkpoint.isCompressed {
            json["modules"] = .object(JSONObject(checkpoint.compressedModules.map { ($0.name, $0.entry) }))
        }
        if let spectra { json["spectra"] = .array(spectra.map(Self.json)) }
        return json
    }

    private static func json(_ file: SafetensorsFile) -> JSON {
        let name = file.path.split(separator: "/").last.map(String.init) ?? file.path
        return ["name": JSON(name), "bytes": JSON(file.byteCount), "tensors": JSON(file.tensors.count)]
    }

    private static func json(_ groups: [(name: String, group: TensorGroup)]) -> JSON {
        .object(
            JSONObject(
                groups.map { name, group in
                    (
                        name,
                        [
                            "tensors": JSON(group.count), "parameters": JSON(group.parameters),
                            "bytes": JSON(group.bytes),
                        ]
                    )
                }))
    }

    private static func json(_ tensor: CheckpointTensor) -> JSON {
        [
            "name": JSON(tensor.name), "dtype": JSON(tensor.dtype.rawValue), "shape": JSON(tensor.shape),
            "role": JSON(tensor.role.rawValue), "layer": tensor.layer.map { JSON($0) } ?? .null,
        ]
    }

    private static func json(_ spectrum: WeightSpectrum) -> JSON {
        [
            "name": JSON(spectrum.module.name),
            "shape": [JSON(spectrum.module.outFeatures), JSON(spectrum.module.inFeatures)],
            "norm": JSON(spectrum.norm), "largest": JSON(spectrum.largest),
            "effective_rank": JSON(spectrum.effectiveRank), "rank_90": JSON(spectrum.rankKeeping90),
            "rank_99": JSON(spectrum.rankKeeping99),
        ]
    }
}

extension TiedHead {
    /// Whether the head is the embedding, stored once or twice.
    var isTied: Bool {
        switch self {
        case .absent, .identical: true
        case .untied, .different: false
        }
    }
}
