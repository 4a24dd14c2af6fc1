import Checkpoints
import CompressionCore
import MatrixCore

/// What every selected matrix may keep, and, where shapes alone decide, what the output will hold to the byte.
public struct CompressionPlan: Sendable {
    /// In the order of their first modules in the model.
    public let groups: [PlannedGroup]
    public let target: Target

    public init(groups: [PlannedGroup], target: Target) {
        self.groups = groups
        self.target = target
    }

    public var modules: [PlannedModule] { groups.flatMap(\.modules) }

    /// The method of all groups, or "mixed".
    public var method: String {
        let methods = Set(groups.map(\.method))
        return methods.count == 1 ? methods.first ?? "mixed" : "mixed"
    }

    /// Whether shapes alone decide what the output will hold.
    public var isKnownFromShapes: Bool { modules.allSatisfy { $0.size != nil } }
}

/// Matrices that are compressed together, by which method and within which budget.
public struct PlannedGroup: Sendable {
    public let compressor: any Compressor
    /// What the compressor was made from.
    public let settings: MethodSettings
    public let budget: Budget
    public let modules: [PlannedModule]

    /// Why the whole group stays as it is, where that is decided already.
    public let keptDense: String?

    public init(
        _ modules: [LinearModule], of checkpoint: Checkpoint, by method: PlannedMethod, budget: Budget,
        factorType: ElementType?
    ) throws(CompressionError) {
        let members = modules.map { Self.member($0, of: checkpoint, factorType: factorType) }
        compressor = method.compressor
        settings = method.settings
        keptDense = nil
        let sizes = try compressor.size(of: members, budget: budget)
        precondition(sizes == nil || sizes?.count == members.count, "a size for each module")
        self.budget = budget
        self.modules = modules.indices.map {
            PlannedModule(module: modules[$0], member: members[$0], size: sizes?[$0])
        }
    }

    /// A matrix that is selected and stays as it is.
    public init(
        dense module: LinearModule, of checkpoint: Checkpoint, by method: PlannedMethod, because reason: String
    ) {
        compressor = method.compressor
        settings = method.settings
        budget = .keep(1)
        keptDense = reason
        let member = Self.member(module, of: checkpoint, factorType: nil)
        modules = [PlannedModule(module: module, member: member, size: PlannedSize(dense: member, because: reason))]
    }

    /// A module as compressors see it.
    public static func member(
        _ module: LinearModule, of checkpoint: Checkpoint, factorType: ElementType?
    ) -> GroupMember {
        GroupMember(
            module: module.name, outFeatures: module.outFeatures, inFeatures: module.inFeatures,
            factorType: factorType ?? Self.factorType(of: module), heads: checkpoint.dimensions.heads(of: module),
            stored: module.factors.map { .init(rank: $0.rank, parameters: $0.parameters) })
    }

    /// What the factors of a weight are stored in unless the user says otherwise: its own type, and Float for Double,
    /// because operators compute in Float.
    private static func factorType(of module: LinearModule) -> ElementType {
        switch module.dtype.elementType {
        case nil, .float64: .float32
        case let type?: type
        }
    }

    /// The name of the group: that of its first module.
    public var name: String { modules.first?.module.name ?? "" }

    public var method: String { type(of: compressor).method }

    /// Numbers that the matrices have.
    public var denseParameters: Int { modules.reduce(0) { $0 + $1.module.parameters } }

    /// Numbers that they are stored as in the source.
    var storedParameters: Int { modules.reduce(0) { $0 + $1.module.storedParameters } }

    /// The tensors that the group is stored as, under their names in the checkpoint, those that modules share once.
    func tensors(_ sizes: KeyPath<PlannedSize, [PlannedTensor]>) -> [(name: String, tensor: PlannedTensor)] {
        var shared: Set<String> = []
        return modules.flatMap { planned in
            (planned.size?[keyPath: sizes] ?? []).compactMap { tensor in
                if tensor.scope == .module { return ("\(planned.module.name).\(tensor.name)", tensor) }
                return shared.insert(tensor.name).inserted ? (tensor.name, tensor) : nil
            }
        }
    }
}

/// A compressor with what it was made from, so that a plan can state it.
public struct PlannedMethod: Sendable {
    public let compressor: any Compressor
    public let settings: MethodSettings

    public init(_ compressor: any Compressor, _ settings: MethodSettings) {
        self.compressor = compressor
        self.settings = settings
    }
}

/// A selected matrix.
public struct PlannedModule: Sendable {
    public let module: LinearModule
    public let member: GroupMember
    /// What it becomes; nil where the ranks depend on the weights.
    public let size: PlannedSize?

    /// Whether it will be stored in another form, as far as the shape tells.
    var isCompressed: Bool { size.map { $0.keptDense == nil } ?? true }
}
