import Checkpoints
import CommandLineKit

/// What became of each matrix, a line as soon as it is finished:
///
///     [ 12/224] model.layers.1.mlp.up_proj  4096×11008  BF16 90.2 MB -> ABLinear rank 1194 36.1 MB  40.0 %  error 0.2
///
/// and on a terminal that is too narrow for that
///
///     [ 12/224] model.layers.1.mlp.up_proj  rank 1194  40.0 %  error 0.2
///
/// Matrices count in the order in which they are done. Not for several threads at once.
final class ModuleLines {
    private let progress: any ProgressReporter
    private let total: Int
    /// Widths of the columns of names and shapes.
    private let widths: (name: Int, shape: Int)
    private var count = 0

    /// - Parameter modules: all the matrices of the run.
    init(_ modules: [LinearModule], _ progress: any ProgressReporter) {
        self.progress = progress
        total = modules.count
        widths = (modules.map(\.name.count).max() ?? 0, modules.map { Self.shape(of: $0).count }.max() ?? 0)
    }

    /// - Parameter isNew: whether this run has done it; what an earlier one did is a detail.
    func add(_ result: ModuleResult, of module: LinearModule, isNew: Bool) {
        count += 1
        func padding(_ text: String, to width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count))
        }
        let number = "\(count)", shape = Self.shape(of: module)
        let start =
            "[" + padding(number, to: "\(total)".count) + "\(number)/\(total)] " + module.name
            + padding(module.name, to: widths.name) + "  "
        let forms = Self.forms(result, of: module, padding: padding(shape, to: widths.shape)).map { start + $0 }
        progress.log(isNew ? .notice : .detail, longestOf: forms)
    }

    private static func shape(of module: LinearModule) -> String { "\(module.outFeatures)×\(module.inFeatures)" }

    /// What stands behind the name, the longest form first.
    /// - Parameter padding: behind the shape.
    static func forms(_ result: ModuleResult, of module: LinearModule, padding: String = "") -> [String] {
        let shape = shape(of: module) + padding
        if let reason = result.keptDenseReason {
            let verdict = result.isDense ? "dense" : "as it was"
            return ["\(shape)  \(verdict): \(reason)", verdict]
        }
        let kept = Quantity.percent(Double(result.parameters) / Double(max(module.parameters, 1)))
        let before = "\(module.dtype.rawValue) \(ByteCount.human(module.storedBytes))"
        let after = [result.schema ?? "", result.ranks, ByteCount.human(result.report["bytes"]?.int ?? 0)]
        let end = "\(kept)  error \(Quantity.significant(result.relativeError, 4))"
        return [
            "\(shape)  \(before) -> \(after.filter { !$0.isEmpty }.joined(separator: " "))  \(end)",
            result.ranks.isEmpty ? end : "\(result.ranks)  \(end)",
        ]
    }
}
