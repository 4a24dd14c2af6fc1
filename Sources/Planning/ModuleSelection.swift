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

    public func modules(of checkpoint: Checkpoint) throws(PlanningError) -> [LinearModule] {
        let all = checkpoint.linearModules
        let included = try include.isEmpty
            ? Set(all.filter(\.selectedByDefault).map(\.name)) : Self.names(matching: include, "include", among: all)
        let excluded = try Self.names(matching: exclude, "exclude", among: all)
        let blocks = try layers?.layers(among: Set(all.compactMap(\.layer)))
        let selected = all.filter { module in
            included.contains(module.name) && !excluded.contains(module.name)
                && (blocks.map { $0.contains(module.layer ?? -1) } ?? true)
        }
        if selected.isEmpty { throw .nothingSelected }
        return selected
    }

    private static func names(
        matching patterns: [String], _ option: String, among modules: [LinearModule]
    ) throws(PlanningError) -> Set<String> {
        var names: Set<String> = []
        for pattern in patterns {
            let expression: Regex<AnyRegexOutput>
            do {
                expression = try Regex(pattern)
            } catch {
                throw .badPattern(pattern, reason: "\(error)")
            }
            let matching = modules.filter { $0.name.firstMatch(of: expression) != nil }
            if matching.isEmpty { throw .patternMatchesNothing(option: option, pattern: pattern) }
            names.formUnion(matching.map(\.name))
        }
        return names
    }
}
