import Safetensors

/// Finds the weights that a family promises for its configuration and that a checkpoint does not have.
struct MissingTensors {
    let architecture: Architecture
    let dimensions: ModelDimensions
    /// What stands before the family's names in this checkpoint.
    let prefix: String

    /// - Parameters:
    ///   - given: the names of all tensors.
    ///   - compressed: modules whose weight is stored as factors.
    /// - Returns: names of weights, outside of blocks first, then layer by layer.
    func names(given: Set<UTF8Key>, compressed: Set<UTF8Key>) -> [String] {
        func isThere(_ module: String) -> Bool {
            given.contains(UTF8Key(module + ".weight")) || compressed.contains(UTF8Key(module))
                // The norms of old BERT checkpoints.
                || given.contains(UTF8Key(module + ".gamma"))
        }
        let expected = architecture.modules.filter { $0.presence == .expected }
        let outside = expected.filter { !$0.pattern.contains("#") }.map { prefix + $0.pattern }
        // A configuration can claim any number; of layers and experts that no tensors are there for, one is named.
        let layers = 0..<min(dimensions.layers ?? 0, given.count + 1)
        let inBlocks = layers.flatMap { layer in
            expected.filter { $0.pattern.contains("#") }.map { name(of: $0, layer: layer) }
                + missingExperts(inLayer: layer, given: given, isThere: isThere)
        }
        return (outside + inBlocks).filter { !isThere($0) }.map { $0 + ".weight" }
    }

    /// The single experts of a layer that has neither stacks nor a dense MLP in their place.
    private func missingExperts(inLayer layer: Int, given: Set<UTF8Key>, isThere: (String) -> Bool) -> [String] {
        let single = architecture.modules.filter { $0.presence == .oneFormOfExperts }
        guard !single.isEmpty, let experts = dimensions.experts else { return [] }
        let others = architecture.modules.filter {
            $0.presence == .optional && $0.role.isSelectedInBlocks && $0.pattern.contains("#")
        }
        let hasOtherForm = others.contains {
            let name = name(of: $0, layer: layer)
            // A stack of which slices are compressed is stored slice by slice.
            return isThere(name) || given.contains(UTF8Key(name)) || isThere("\(name).0")
        }
        if hasOtherForm { return [] }
        return (0..<min(experts, given.count + 1)).flatMap { expert in
            single.map { name(of: $0, layer: layer, expert: expert) }
        }
    }

    private func name(of module: Architecture.Module, layer: Int, expert: Int = 0) -> String {
        var numbers = [layer, expert][...]
        let components = module.pattern.split(separator: ".").map { component -> String in
            guard component == "#", let number = numbers.popFirst() else { return String(component) }
            return String(number)
        }
        return prefix + components.joined(separator: ".")
    }
}
