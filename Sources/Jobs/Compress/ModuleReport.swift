import Checkpoints
import CompressionCore
import MatrixCore
import Safetensors

/// The line of a matrix in report.json (`tensors`), as the format documents it.
struct ModuleReport {
    /// Errors of the numbers as written.
    struct Errors {
        /// ‖W − W'‖ / ‖W‖.
        let relative: Double
        let inputs: InputErrors
    }

    private let module: LinearModule
    private let method: String
    private let seconds: Double
    private let readSeconds: Double

    /// - Parameters:
    ///   - seconds: all that the matrix took.
    ///   - readSeconds: those of them that reading took.
    init(_ module: LinearModule, method: String, seconds: Double, readSeconds: Double = 0) {
        self.module = module
        self.method = method
        self.seconds = seconds
        self.readSeconds = readSeconds
    }

    /// A layer that stays as it is, dense or in the factors that it has.
    func unchanged(because reason: String) -> ModuleResult {
        var report = heading(schema: module.factors?.schema ?? DenseOperator.schema)
        report["rank"] = module.factors.map { JSON($0.rank) }
        report["parameters"] = JSON(module.storedParameters)
        report["bytes"] = JSON(module.storedBytes)
        report["macs"] = JSON(module.storedParameters)
        report["relative_error"] = 0
        report["rounding_error"] = 0
        report["activation_error"] = .null
        report["energy_kept"] = 1
        report["shift"] = .null
        report["solver"] = .null
        report["seconds"] = JSON(seconds)
        report["kept_dense_reason"] = JSON(reason)
        return ModuleResult(name: module.name, report: report, entry: nil, tensors: [])
    }

    /// - Parameter alreadyStored: tensors that earlier modules of the group have brought along; what is shared counts
    ///   once, with the first.
    func compressed(
        _ compressed: any LinearOperator, _ evidence: CompressionEvidence, _ errors: Errors,
        alreadyStored: inout Set<String>
    ) -> ModuleResult {
        let own = compressed.tensors.filter { alreadyStored.insert($0.fullName(in: module.name)).inserted }
        var report = heading(schema: compressed.schema)
        report["method"] = JSON(method)
        for key in ["rank", "ranks"] { report[key] = compressed.entry[key] ?? report[key] }
        report["parameters"] = JSON(own.reduce(0) { $0 + ($1.isIndex ? 0 : $1.tensor.elementCount) })
        report["bytes"] = JSON(own.reduce(0) { $0 + $1.tensor.byteCount })
        report["macs"] = JSON(compressed.macs)
        report["relative_error"] = JSON(errors.relative)
        report["rounding_error"] = evidence.roundingError.map { JSON($0) } ?? .null
        report["activation_error"] = errors.inputs.activation.map { JSON($0) } ?? .null
        report["energy_kept"] = evidence.energyKept.map { JSON($0) } ?? .null
        report["shift"] = evidence.shift.map { JSON($0) } ?? .null
        report["solver"] = JSON(evidence.solver)
        report["seconds"] = JSON(seconds)
        report["stage_seconds"] = stages(evidence)
        report["kept_dense_reason"] = .null
        report["sequential_error"] = errors.inputs.sequential.map { JSON($0) }
        for (key, value) in evidence.details.entries { report[key] = value }
        return ModuleResult(
            name: module.name, report: report, entry: entry(of: compressed),
            tensors: own.map { $0.fullName(in: module.name) })
    }

    /// What the seconds went to; nil where the method does not say.
    private func stages(_ evidence: CompressionEvidence) -> JSON? {
        guard !evidence.stages.entries.isEmpty else { return nil }
        let entries = [("read", readSeconds)] + evidence.stages.entries.map { ($0.name, $0.seconds) }
        return .object(JSONObject(entries.map { (key: $0.0, value: JSON($0.1)) }))
    }

    /// Schema and ranks; the type of the dense weight only where the factors have another, for `reconstruct`.
    private func entry(of compressed: any LinearOperator) -> JSON {
        var entry: JSON = ["schema": JSON(compressed.schema)]
        for (key, value) in compressed.entry.entries { entry[key] = value }
        let types = Set(compressed.tensors.filter { !$0.isIndex }.map(\.tensor.dtype))
        if types != [module.dtype] { entry["dtype"] = JSON(module.dtype.rawValue) }
        return entry
    }

    private func heading(schema: String) -> JSON {
        [
            "name": JSON(module.reportName), "shape": JSON([module.outFeatures, module.inFeatures]),
            "dtype": JSON(module.dtype.rawValue), "role": JSON(module.role.rawValue),
            "layer": module.layer.map { JSON($0) } ?? .null, "schema": JSON(schema),
        ]
    }
}

extension LinearModule {
    /// What a report calls the layer: the name of its weight; a slice of a stack has the name it would have alone.
    var reportName: String { slice == nil ? weightName : "\(name).weight" }
}
