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
            text =
                "\(module.name)  \(shape)  \(result.ranks)  \(Quantity.percent(kept)) kept"
                + "  error \(Quantity.significant(result.relativeError, 4))"
        }
    }
}
