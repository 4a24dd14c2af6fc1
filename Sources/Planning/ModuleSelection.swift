import Checkpoints

/// Which linear layers of a model to compress.
///
/// By default every linear layer inside the transformer blocks. `include` patterns replace that choice by the layers
/// whose module name they match anywhere, heads and routers too; `layers` keeps those of some blocks; `exclude` wins.
/// A pattern that matches nothing is an error, because it is nearly always a spelling mistake.
public struct ModuleSelection: Sendable, Equatable {
    public var include: [String]
    public var exclude: [String]
    public var layers: LayerSelection?

    public init(include: [String] = [], exclude: [String] = [], layers: LayerSelection? = nil) {
        self.include = include
        self.exclude = exclude
        self.layers = layers
    }

    /// - Throws: `PlanningError.unreadableWeight` if a weight would be selected that is stored in a type that cannot be
    ///   computed with, `.compressedAlready` for one in a form that cannot be compressed further; what is not selected
    ///   is carried along.
    public func modules(of checkpoint: Checkpoint) throws(PlanningError) -> [LinearModule] {
        let all = checkpoint.compressibleModules
        let unreadable = Self.unreadableWeights(of: checkpoint)
        let final = Self.finalModules(of: checkpoint, besides: all)
        let names = all.map(\.name) + unreadable.map(\.module) + final.map(\.name)
        let defaults = all.filter(\.selectedByDefault).map(\.name) + unreadable.filter(Self.isInBlock).map(\.module)
            + final.filter(\.selectedByDefault).map(\.name)
        let included = try include.isEmpty ? Set(defaults) : Self.names(matching: include, "include", among: names)
        let excluded = try Self.names(matching: exclude, "exclude", among: names)
        let blocks = try layers?.layers(
            among: Set(all.compactMap(\.layer) + unreadable.compactMap(\.layer) + final.compactMap(\.layer)))
        func isSelected(_ name: String, _ layer: Int?) -> Bool {
            included.contains(name) && !excluded.contains(name) && (blocks.map { $0.contains(layer ?? -1) } ?? true)
        }
        for tensor in unreadable where isSelected(tensor.module, tensor.layer) {
            throw .unreadableWeight(
                tensor: tensor.name, module: tensor.module, dtype: tensor.dtype.rawValue,
                file: checkpoint.files[tensor.file].path)
        }
        if let module = final.first(where: { isSelected($0.name, $0.layer) }) {
            throw .compressedAlready(module: module.name, schema: module.schema)
        }
        let selected = all.filter { isSelected($0.name, $0.layer) }
        if selected.isEmpty { throw .nothingSelected }
        return selected
    }

    /// Compressed layers whose form cannot be compressed further.
    private static func finalModules(of checkpoint: Checkpoint, besides modules: [LinearModule]) -> [CompressedModule] {
        let factored = Set(modules.map(\.name))
        return checkpoint.compressedModules.filter { !factored.contains($0.name) }
    }

    private static func unreadableWeights(of checkpoint: Checkpoint) -> [CheckpointTensor] {
        checkpoint.warnings.compactMap { warning in
            if case .unreadableWeight(let name, _) = warning { checkpoint.tensor(named: name) } else { nil }
        }
    }

    private static func isInBlock(_ tensor: CheckpointTensor) -> Bool {
        tensor.layer != nil && tensor.role != .router && tensor.role != .head
    }

    private static func names(
        matching patterns: [String], _ option: String, among modules: [String]
    ) throws(PlanningError) -> Set<String> {
        var names: Set<String> = []
        for pattern in patterns {
            let expression: Regex<AnyRegexOutput>
            do {
                expression = try Regex(pattern)
            } catch {
                throw .badPattern(option: option, pattern: pattern, reason: "\(error)")
            }
            let matching = modules.filter { $0.firstMatch(of: expression) != nil }
            if matching.isEmpty { throw .patternMatchesNothing(option: option, pattern: pattern) }
            names.formUnion(matching)
        }
        return names
    }
}
