import Checkpoints
import CompressionCore

/// The selected matrices, divided into what a method compresses together.
///
/// Groups and the modules in them stand in the order of the model. A matrix that takes no part in a grouping, or whose
/// partners are not selected or not of its shape, is a group of its own.
public struct ModuleGroups {
    public let groups: [[LinearModule]]

    /// - Throws: `PlanningError.nothingToGroup` if no group of the kind can exist in such a model.
    public init(
        _ modules: [LinearModule], of checkpoint: Checkpoint, for compressor: any Compressor
    ) throws(PlanningError) {
        let projections = compressor.groupedProjections
        switch compressor.grouping {
        case .single:
            groups = modules.map { [$0] }
        case .heads:
            guard modules.contains(where: { checkpoint.dimensions.heads(of: $0) != nil }) else {
                throw .nothingToGroup(
                    "heads", reason: "no selected layer is a query, key, value or output projection with known heads")
            }
            groups = Self.grouped(modules, by: Self.attentionKey(modules, checkpoint.dimensions))
        case .experts:
            guard modules.contains(where: { $0.expert != nil }) else {
                throw .nothingToGroup("experts", reason: "no selected layer is an expert; the model is dense")
            }
            groups = Self.grouped(modules) {
                $0.expert == nil || !$0.isAmong(projections) ? nil : "\($0.layer ?? -1) \($0.role) \($0.shape)"
            }
        case .layers(let count):
            groups = Self.runs(of: modules, length: count, among: projections)
        }
    }

    /// Modules with the same key together; those without by themselves.
    private static func grouped(_ modules: [LinearModule], by key: (LinearModule) -> String?) -> [[LinearModule]] {
        var groups: [[LinearModule]] = []
        var places: [String: Int] = [:]
        for module in modules {
            if let key = key(module), let place = places[key] {
                groups[place].append(module)
            } else {
                if let key = key(module) { places[key] = groups.count }
                groups.append([module])
            }
        }
        return groups
    }

    /// Blocks whose four projections are all selected and have as many heads of the same width are grouped.
    private static func attentionKey(
        _ modules: [LinearModule], _ dimensions: ModelDimensions
    ) -> (LinearModule) -> String? {
        let order: [ModuleRole] = [.attentionQuery, .attentionKey, .attentionValue, .attentionOutput]
        var whole: Set<Int> = []
        for (layer, members) in Dictionary(grouping: modules.filter { order.contains($0.role) }, by: \.layer) {
            guard let layer, members.map(\.role) == order, members.allSatisfy({ dimensions.heads(of: $0) != nil }),
                Set(members.map { dimensions.heads(of: $0)?.count }).count == 1,
                Set(members.prefix(3).map(\.shape) + [members[3].transposedShape]).count == 1
            else { continue }
            whole.insert(layer)
        }
        return { module in
            guard let layer = module.layer, whole.contains(layer), order.contains(module.role) else { return nil }
            return "\(layer)"
        }
    }

    /// Runs of at most `length` neighbouring blocks of the same projection.
    private static func runs(
        of modules: [LinearModule], length: Int, among projections: GroupedProjections
    ) -> [[LinearModule]] {
        var groups: [[LinearModule]] = []
        var open: [String: Int] = [:]
        for module in modules {
            guard let layer = module.layer, module.isAmong(projections) else {
                groups.append([module])
                continue
            }
            let key = "\(module.nameWithoutLayer) \(module.shape)"
            if let place = open[key], groups[place].count < length, groups[place].last?.layer == layer - 1 {
                groups[place].append(module)
            } else {
                open[key] = groups.count
                groups.append([module])
            }
        }
        return groups
    }
}

extension LinearModule {
    fileprivate var shape: String { "\(outFeatures)×\(inFeatures)" }
    fileprivate var transposedShape: String { "\(inFeatures)×\(outFeatures)" }

    func isAmong(_ projections: GroupedProjections) -> Bool {
        projections == .all || role.readsHiddenState
    }

    /// The same in every block.
    fileprivate var nameWithoutLayer: String {
        var components = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if let layer, let place = components.firstIndex(of: "\(layer)") { components[place] = "*" }
        return components.joined(separator: ".")
    }
}

extension ModuleRole {
    /// Whether its input is the hidden state of the block, and so means the same in neighbouring blocks.
    fileprivate var readsHiddenState: Bool {
        switch self {
        case .attentionQuery, .attentionKey, .attentionValue, .attentionFused, .mlpGate, .mlpUp, .mlpFused, .mlpIn,
            .expertGate, .expertUp, .expertFused:
            true
        default:
            false
        }
    }
}

extension ModelDimensions {
    /// How an attention projection divides into heads; nil for other layers, and where the model does not say.
    func heads(of module: LinearModule) -> HeadSplit? {
        let split: HeadSplit?
        switch module.role {
        case .attentionQuery: split = attentionHeads.map { HeadSplit(count: $0, axis: .outputs) }
        case .attentionKey, .attentionValue: split = keyValueHeads.map { HeadSplit(count: $0, axis: .outputs) }
        case .attentionOutput: split = attentionHeads.map { HeadSplit(count: $0, axis: .inputs) }
        default: split = nil
        }
        guard let split, split.count > 0 else { return nil }
        let divided = split.axis == .outputs ? module.outFeatures : module.inFeatures
        return divided % split.count == 0 ? split : nil
    }
}
