import Checkpoints
import CommandLineKit

/// A finished matrix in one line.
struct ModuleLine {
    let text: String

    init(_ result: ModuleResult, of module: LinearModule) {
        let shape = "\(module.outFeatures)×\(module.inFeatures)"
        if let reason = result.keptDenseReason {
            text = "\(module.name)  \(shape)  \(result.isDense ? "dense" : "as it was"): \(reason)"
        } else {
            let kept = Double(result.parameters) / Double(max(module.parameters, 1))
            let before = "\(module.dtype.rawValue) \(ByteCount.human(module.storedBytes))"
            let after = [result.schema ?? "", result.ranks, ByteCount.human(result.report["bytes"]?.int ?? 0)]
            text =
                "\(module.name)  \(shape)  \(before) -> \(after.filter { !$0.isEmpty }.joined(separator: " "))"
                + "  \(Quantity.percent(kept)) kept  error \(Quantity.significant(result.relativeError, 4))"
        }
    }
}
