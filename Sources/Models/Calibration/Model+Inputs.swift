import Statistics

/// Which linear layers read the same numbers: known from how the families are built.
extension Model {
    /// The distinct inputs of the linear layers of a block, in the order in which they are read.
    public func inputs(ofLayer index: Int) -> [LayerInput] {
        blocks[index].attention.inputs + blocks[index].feedForward.inputs
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
    fileprivate var inputs: [LayerInput] {
        let projected =
            switch projections {
            case .separate(let query, let key, let value): [query, key, value]
            case .fused(let layer, _): [layer]
            }
        return [LayerInput(projected), LayerInput([output])]
    }
}

extension FeedForward {
    fileprivate var inputs: [LayerInput] {
        let read =
            switch entrance {
            case .gated(let gate, let up): [gate, up]
            case .gatedTogether(let layer), .plain(let layer): [layer]
            }
        return [LayerInput(read), LayerInput([exit])]
    }
}

extension Model.Block.Mixer {
    /// Every expert reads other tokens, so each has inputs of its own.
    fileprivate var inputs: [LayerInput] {
        switch self {
        case .dense(let network): network.inputs
        case .experts(let block): [LayerInput([block.router])] + block.experts.flatMap(\.inputs)
        }
    }
}
