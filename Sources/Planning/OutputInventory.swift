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

    /// Which form of a matrix is counted where the weights may choose between two.
    public enum Form: Sendable {
        /// The one that is planned.
        case planned
        /// The larger one: what a target must allow for.
        case largest
    }

    /// Numbers that the selected matrices keep, those left dense included.
    public func parameters(ofSelected plan: CompressionPlan, _ form: Form = .planned) -> Int {
        plan.groups.reduce(0) { $0 + Self.parameters(of: $1, form) }
    }

    /// Numbers in the whole output, positions not counted.
    public func parameters(of plan: CompressionPlan, _ form: Form = .planned) -> Int {
        let tied = tiedHead.flatMap { checkpoint.tensor(named: $0)?.elementCount } ?? 0
        let selected = plan.groups.reduce(0) { $0 + $1.storedParameters }
        return checkpoint.parameterCount - checkpoint.factorPositionCount - tied - selected
            + parameters(ofSelected: plan, form)
    }

    /// Bytes of the weight files of the whole output, headers included: exact for one file, and for several an upper
    /// bound that is a few hundred bytes a file too large.
    public func fileBytes(of plan: CompressionPlan, _ form: Form = .planned) throws -> Int {
        let compressed = plan.modules.filter(\.isCompressed)
        let replaced = Set(compressed.flatMap(\.module.tensorNames)), names = Set(compressed.map(\.module.name))
        var declarations = try plan.groups.flatMap { try Self.declarations(of: $0, form) }
        // Slices of a stack that stay dense while others do not are stored one by one.
        for module in checkpoint.linearModules
        where replaced.contains(module.weightName) && !names.contains(module.name) {
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

    /// Numbers that a group keeps, those of matrices that stay dense included.
    private static func parameters(of group: PlannedGroup, _ form: Form) -> Int {
        let dense = group.modules.reduce(0) { $0 + ($1.size?.schema == nil ? $1.module.storedParameters : 0) }
        func numbers(_ tensors: [(name: String, tensor: PlannedTensor)]) -> Int {
            tensors.reduce(0) { $0 + ($1.tensor.isIndex ? 0 : $1.tensor.elementCount) }
        }
        let planned = numbers(group.tensors(\.tensors))
        return dense + (form == .planned ? planned : max(planned, numbers(group.tensors(\.alternative))))
    }

    private static func declarations(of group: PlannedGroup, _ form: Form) throws -> [TensorDeclaration] {
        func declared(_ form: KeyPath<PlannedSize, [PlannedTensor]>) -> [TensorDeclaration] {
            group.tensors(form).map { TensorDeclaration(name: $0.name, dtype: $0.tensor.dtype, shape: $0.tensor.shape) }
        }
        let planned = declared(\.tensors), alternative = declared(\.alternative)
        guard form == .largest else { return planned }
        let isLarger = try SafetensorsWriter.byteCount(of: alternative) > SafetensorsWriter.byteCount(of: planned)
        return isLarger ? alternative : planned
    }
}
