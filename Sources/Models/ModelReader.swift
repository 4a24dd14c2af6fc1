import Checkpoints
import CompressionCore
import Kernels
import MatrixCore
import Safetensors

extension Model {
    /// Reads the model of a checkpoint; weights are mapped, not copied.
    ///
    /// A head that is stored beside the embedding it should be, and differs from it, is the head: so does transformers
    /// from version 5 on; those before it take the embedding.
    ///
    /// - Parameters:
    ///   - library: the schemas of compressed layers that can be read.
    ///   - replacements: operators, by module name, to use in place of what the checkpoint has.
    /// - Throws: `ModelError` where the family cannot be run, or the checkpoint is not a whole model.
    public init(
        _ checkpoint: Checkpoint, library: OperatorLibrary, replacing replacements: [String: any LinearOperator] = [:]
    ) throws(ModelError) {
        var description = try ModelDescription(config: checkpoint.config, modelType: checkpoint.modelType)
        if description.tiesHead, try checkpoint.storedHeadDiffers() { description.tiesHead = false }
        let weights = try WeightReader(
            checkpoint, family: description.family, library: library, replacements: replacements)
        self = try ModelReader(description: description, weights: weights).model()
    }
}

extension Checkpoint {
    /// Whether the configuration ties the head to the embedding, and the numbers do not.
    fileprivate func storedHeadDiffers() throws(ModelError) -> Bool {
        do {
            if case .different = try tiedHead() { return true }
            return false
        } catch {
            throw .unreadable(tensor: error.tensor ?? "", reason: "\(error)")
        }
    }
}

/// Puts a model together from the names of its family and the weights of a checkpoint.
struct ModelReader {
    let description: ModelDescription
    let weights: WeightReader

    private var family: ModelFamily { description.family }

    func model() throws(ModelError) -> Model {
        let names = family.names
        let embedding = TokenEmbedding(
            tokens: try weights.table(names.embedding, columns: description.hidden),
            positions: try table(names.positionEmbedding, atLeast: description.positionLimit),
            types: try table(names.typeEmbedding, atLeast: 1),
            norm: try names.embeddingNorm.map { (name) throws(ModelError) in try norm(name, description.hidden) })
        var blocks: [Model.Block] = []
        for layer in 0..<description.layers {
            blocks.append(try block(layer))
        }
        let finalNorm = try names.finalNorm.map { (name) throws(ModelError) in try norm(name, description.hidden) }
        return Model(
            description: description, embedding: embedding, blocks: blocks, finalNorm: finalNorm,
            head: try head(embedding))
    }

    private func table(_ name: String?, atLeast rows: Int?) throws(ModelError) -> MatrixOperand? {
        guard let name else { return nil }
        let table = try weights.table(name, columns: description.hidden)
        guard table.rows >= rows ?? 0 else {
            throw .wrongShape(
                tensor: weights.fullName(name) + ".weight", expected: [rows ?? 0, description.hidden],
                found: [table.rows, table.columns])
        }
        return table
    }

    /// A head that is tied to the embedding is the same memory.
    private func head(_ embedding: TokenEmbedding) throws(ModelError) -> Linear? {
        guard let first = family.names.heads.first else { return nil }
        if !description.tiesHead || embedding.tokens.rows == 0 {
            for name in family.names.heads where weights.hasLinear(name) {
                return try weights.linear(name, outFeatures: nil, inFeatures: description.hidden)
            }
        }
        guard description.tiesHead else { throw .missingTensor("\(first).weight") }
        return Linear(name: first, weight: DenseOperator(weight: embedding.tokens), bias: nil)
    }

    // MARK: A layer

    private func block(_ layer: Int) throws(ModelError) -> Model.Block {
        Model.Block(
            attentionNorm: try norm(name(family.layer.attentionNorm, layer), description.hidden),
            attention: try attention(layer),
            feedForwardNorm: try norm(name(family.layer.feedForwardNorm, layer), description.hidden),
            feedForward: try mixer(layer))
    }

    private func name(_ pattern: String, _ layer: Int, expert: Int? = nil) -> String {
        var numbers = [layer] + (expert.map { [$0] } ?? [])
        let components = (family.layer.prefix + pattern).split(separator: ".").map { component in
            component == "#" && !numbers.isEmpty ? "\(numbers.removeFirst())" : String(component)
        }
        return components.joined(separator: ".")
    }

    private func attention(_ layer: Int) throws(ModelError) -> Attention {
        let names = family.layer.attention
        let query = description.heads * description.headDimension
        let keyValue = description.keyValueHeads * description.headDimension
        let projections: Attention.Projections
        switch names.projections {
        case .separate(let queryName, let keyName, let valueName):
            projections = .separate(
                query: try linear(name(queryName, layer), query, description.hidden),
                key: try linear(name(keyName, layer), keyValue, description.hidden),
                value: try linear(name(valueName, layer), keyValue, description.hidden))
        case .fused(let fusedName, let order):
            projections = .fused(try linear(name(fusedName, layer), query + 2 * keyValue, description.hidden), order)
        }
        return Attention(
            layer: layer, projections: projections,
            output: try linear(name(names.output, layer), description.hidden, query),
            queryNorm: try headNorm(names.queryNorm, layer), keyNorm: try headNorm(names.keyNorm, layer),
            shape: TiledAttention.Shape(
                heads: description.heads, keyValueHeads: description.keyValueHeads,
                headDimension: description.headDimension, scale: description.attentionScales[layer],
                isCausal: family.isCausal, window: description.slidingWindows[layer]))
    }

    private func mixer(_ layer: Int) throws(ModelError) -> Model.Block.Mixer {
        for names in family.layer.experts where weights.hasLinear(name(names.router, layer)) {
            return .experts(try experts(names, layer))
        }
        switch family.layer.feedForward {
        case .gated(let gate, let up, let down):
            return .dense(
                try gated(gate: name(gate, layer), up: name(up, layer), down: name(down, layer)))
        case .plain(let input, let output):
            let entrance = try weights.linear(name(input, layer), outFeatures: nil, inFeatures: description.hidden)
            return .dense(
                FeedForward(
                    entrance: .plain(entrance),
                    exit: try linear(name(output, layer), description.hidden, entrance.outFeatures),
                    activation: description.activation))
        }
    }

    private func gated(gate: String, up: String, down: String) throws(ModelError) -> FeedForward {
        let gateLayer = try weights.linear(gate, outFeatures: nil, inFeatures: description.hidden)
        return FeedForward(
            entrance: .gated(gate: gateLayer, up: try linear(up, gateLayer.outFeatures, description.hidden)),
            exit: try linear(down, description.hidden, gateLayer.outFeatures), activation: description.activation)
    }

    private func experts(_ names: ModelFamily.ExpertNames, _ layer: Int) throws(ModelError) -> MixtureOfExperts {
        let router = try weights.linear(name(names.router, layer), outFeatures: nil, inFeatures: description.hidden)
        var experts: [FeedForward] = []
        for expert in 0..<router.outFeatures {
            let stacked = name(names.stackedGateUp, layer, expert: expert)
            guard weights.hasLinear(stacked) else {
                experts.append(
                    try gated(
                        gate: name(names.gate, layer, expert: expert), up: name(names.up, layer, expert: expert),
                        down: name(names.down, layer, expert: expert)))
                continue
            }
            let both = try weights.linear(stacked, outFeatures: nil, inFeatures: description.hidden)
            let down = name(names.stackedDown, layer, expert: expert)
            experts.append(
                FeedForward(
                    entrance: .gatedTogether(both),
                    exit: try linear(down, description.hidden, both.outFeatures / 2),
                    activation: description.activation))
        }
        return MixtureOfExperts(router: router, experts: experts, routing: description.routing)
    }

    // MARK: Parts

    private func linear(_ name: String, _ outFeatures: Int, _ inFeatures: Int) throws(ModelError) -> Linear {
        try weights.linear(name, outFeatures: outFeatures, inFeatures: inFeatures)
    }

    private func headNorm(_ pattern: String?, _ layer: Int) throws(ModelError) -> Normalisation? {
        guard let pattern else { return nil }
        return try norm(name(pattern, layer), description.headDimension)
    }

    private func norm(_ name: String, _ features: Int) throws(ModelError) -> Normalisation {
        Normalisation(
            weight: try weights.vector(name, ["weight", "gamma"], count: features),
            bias: family.normalisation == .layer ? try weights.vector(name, ["bias", "beta"], count: features) : nil,
            kind: family.normalisation, epsilon: description.normEpsilon)
    }
}
