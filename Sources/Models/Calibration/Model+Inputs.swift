import Statistics

/// Which linear layers read the same numbers: known from how the families are built.
extension Model {
    /// The distinct inputs of the linear layers of a block, in the order in which they are read.
    public func inputs(ofLayer index: Int) -> [LayerInput] {
        blocks[index].attention.inputs + blocks[index].feedForward.inputs
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

    fileprivate var layers: [Linear] {
        switch self {
        case .dense(let network): network.layers
        case .experts(let block): [block.router] + block.experts.flatMap(\.layers)
        }
    }
}
