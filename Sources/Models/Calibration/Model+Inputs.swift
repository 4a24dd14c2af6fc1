import Statistics

/// Which linear layers read the same numbers: known from how the families are built.
extension Model {
    /// The distinct inputs of the linear layers of a block, in the order in which they are read.
    public func inputs(ofLayer index: Int) -> [LayerInput] {
        blocks[index].attention.inputs + blocks[index].feedForward.inputs
    }

    /// The same inputs in the order in which data flows: none of a stage depends on layers that read another of it.
    ///
    /// Those of all experts stand beside each other, so a block of experts has as many stages as a dense one and that
    /// of its router.
    public func stages(ofLayer index: Int) -> [InputStage] {
        let attention = blocks[index].attention.inputs.map { InputStage(inputs: [$0], isRouted: false) }
        return attention + blocks[index].feedForward.stages
    }

    /// The linear layers of a block with the number of their outputs, in the order in which they read their inputs.
    public func outputs(ofLayer index: Int) -> [(module: String, features: Int)] {
        (blocks[index].attention.layers + blocks[index].feedForward.layers).map { ($0.name, $0.outFeatures) }
    }

    /// What the head reads, where the head has a weight of its own.
    public var headInput: LayerInput? {
        guard let head, !description.tiesHead else { return nil }
        return LayerInput([head])
    }

    /// Every input, in the order in which they are read.
    public var inputs: [LayerInput] {
        blocks.indices.flatMap(inputs(ofLayer:)) + (headInput.map { [$0] } ?? [])
    }
}

/// Inputs of a block that are known at the same time.
public struct InputStage: Sendable {
    public let inputs: [LayerInput]
    /// Whether a router decides which tokens there are.
    public let isRouted: Bool
}

extension LayerInput {
    fileprivate init(_ layers: [Linear]) {
        self.init(modules: layers.map(\.name), features: layers[0].inFeatures)
    }
}

extension Attention {
    fileprivate var inputs: [LayerInput] { [LayerInput(projected), LayerInput([output])] }

    fileprivate var layers: [Linear] { projected + [output] }

    private var projected: [Linear] {
        switch projections {
        case .separate(let query, let key, let value): [query, key, value]
        case .fused(let layer, _): [layer]
        }
    }
}

extension FeedForward {
    fileprivate var inputs: [LayerInput] { [LayerInput(entranceLayers), LayerInput([exit])] }

    fileprivate var layers: [Linear] { entranceLayers + [exit] }
}

extension Model.Block.Mixer {
    /// Every expert reads other tokens, so each has inputs of its own.
    fileprivate var inputs: [LayerInput] {
        switch self {
        case .dense(let network): network.inputs
        case .experts(let block): [LayerInput([block.router])] + block.experts.flatMap(\.inputs)
        }
    }

    fileprivate var stages: [InputStage] {
        switch self {
        case .dense(let network): return network.inputs.map { InputStage(inputs: [$0], isRouted: false) }
        case .experts(let block):
            let inputs = block.experts.map(\.inputs)  // of the entrance, then of the exit
            return [InputStage(inputs: [LayerInput([block.router])], isRouted: false)]
                + (0..<(inputs.first?.count ?? 0)).map { place in
                    InputStage(inputs: inputs.map { $0[place] }, isRouted: true)
                }
        }
    }

    fileprivate var layers: [Linear] {
        switch self {
        case .dense(let network): network.layers
        case .experts(let block): [block.router] + block.experts.flatMap(\.layers)
        }
    }
}
