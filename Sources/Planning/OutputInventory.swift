import Checkpoints
import CompressionCore
import Safetensors

/// The tensors of an output, before it exists.
public struct OutputInventory: Sendable {
    private let checkpoint: Checkpoint
    /// A head that the configuration ties to the embedding and that is stored with the same bytes; written once.
    private let tiedHead: String?

    public init(_ checkpoint: Checkpoint) throws(CheckpointError) {
        self.checkpoint = checkpoint
        if case .identical(let head, _) = try checkpoint.tiedHead() { tiedHead = head } else { tiedHead = nil }
    }

    /// Numbers that the selected matrices keep, those left dense included.
    public func parameters(ofSelected plan: CompressionPlan) -> Int {
        plan.modules.reduce(0) { $0 + Self.parameters(of: $1) }
    }

    /// Numbers in the whole output, positions not counted.
    public func parameters(of plan: CompressionPlan) -> Int {
        let tied = tiedHead.flatMap { checkpoint.tensor(named: $0)?.elementCount } ?? 0
        let selected = plan.modules.reduce(0) { $0 + $1.module.parameters }
        return checkpoint.parameterCount - tied - selected + parameters(ofSelected: plan)
    }

    /// Bytes of the weight files of the whole output, headers included: exact for one file, and for several an upper
    /// bound that is a few hundred bytes a file too large.
    public func fileBytes(of plan: CompressionPlan) throws -> Int {
        var replaced: Set<String> = [], compressed: Set<String> = []
        var declarations: [TensorDeclaration] = []
        for planned in plan.modules {
            guard let size = planned.size, size.keptDense == nil else { continue }
            replaced.insert(planned.module.weightName)
            compressed.insert(planned.module.name)
            declarations += size.tensors.map {
                let name = $0.scope == .module ? "\(planned.module.name).\($0.name)" : $0.name
                return TensorDeclaration(name: name, dtype: $0.dtype, shape: $0.shape)
            }
        }
        // Slices of a stack that stay dense while others do not are stored one by one.
        for module in checkpoint.linearModules
        where replaced.contains(module.weightName) && !compressed.contains(module.name) {
            declarations.append(
                TensorDeclaration(
                    name: "\(module.name).weight", dtype: module.dtype, shape: [module.outFeatures, module.inFeatures]))
        }
        for tensor in checkpoint.tensors where !replaced.contains(tensor.name) && tensor.name != tiedHead {
            declarations.append(TensorDeclaration(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape))
        }
        return try SafetensorsWriter.byteCount(of: declarations) + Self.headerAllowance * (checkpoint.files.count - 1)
    }

    /// Header bytes that a further shard may add.
    private static let headerAllowance = 256

    private static func parameters(of planned: PlannedModule) -> Int {
        guard let size = planned.size, size.keptDense == nil else { return planned.module.parameters }
        return size.parameters
    }
}
