import MatrixCore
import Models

/// The figures of an evaluation as sequences are added to it.
struct Evaluation {
    private let model: Model
    private let state: SequenceState
    private let reference: (model: Model, state: SequenceState)?
    private let logits: LogitsFile?
    private(set) var perplexity: Perplexity?
    private(set) var comparison: ReferenceComparison?
    /// nil without a reference, and where its layers are of another number or width.
    private(set) var drift: HiddenStateDrift?
    private let samples: (model: HiddenStateSample, reference: HiddenStateSample)?
    private var cosines: [Double] = []

    init(model: Model, reference: Model?, logits: LogitsFile?) {
        self.model = model
        self.logits = logits
        state = model.makeState(.onePass)
        self.reference = reference.map { ($0, $0.makeState(.onePass)) }
        if model.head != nil {
            perplexity = Perplexity()
            comparison = reference == nil ? nil : ReferenceComparison()
        }
        samples = Self.samples(model, reference)
        state.observer = samples?.model
        self.reference?.state.observer = samples?.reference
        drift = samples.map { HiddenStateDrift(layers: $0.model.layers) }
    }

    /// Mean over sequences; nil for decoders and without a reference.
    var embeddingCosine: Double? {
        cosines.isEmpty ? nil : cosines.reduce(0, +) / Double(cosines.count)
    }

    private static func samples(
        _ model: Model, _ reference: Model?
    ) -> (model: HiddenStateSample, reference: HiddenStateSample)? {
        guard let reference else { return nil }
        let samples = (HiddenStateSample(model.description), HiddenStateSample(reference.description))
        return samples.0.isComparable(to: samples.1) ? samples : nil
    }

    mutating func add(_ tokens: [Int32]) throws {
        samples?.model.begin(tokens: tokens.count)
        samples?.reference.begin(tokens: tokens.count)
        if model.head == nil { try addEncoded(tokens) } else { try addScored(tokens) }
        if let samples { drift?.append(samples.model, reference: samples.reference) }
    }

    private mutating func addScored(_ tokens: [Int32]) throws {
        var comparison = self.comparison
        let expected = try referenceHidden(tokens)
        var referenceLosses: [Double] = []
        let losses = try model.losses(of: tokens, state) { first, found in
            try logits?.append(found)
            guard let reference, let expected else { return }
            let rows = first..<first + found.rows
            let wanted = try reference.model.logits(of: expected.rows(rows), reference.state)
            // The last position of a sequence predicts nothing that is scored.
            let scored = min(found.rows, tokens.count - 1 - first)
            comparison?.append(found.rows(0..<scored), reference: wanted.rows(0..<scored))
            referenceLosses += TokenLosses.compute(
                wanted.rows(0..<scored), targets: tokens[first + 1..<first + 1 + scored])
        }
        perplexity?.append(loss: losses.reduce(0, +), tokens: losses.count)
        comparison?.reference.append(loss: referenceLosses.reduce(0, +), tokens: referenceLosses.count)
        self.comparison = comparison
    }

    private func referenceHidden(_ tokens: [Int32]) throws -> MatrixView<Float>? {
        guard let reference else { return nil }
        reference.state.restart()
        return try reference.model.hiddenStates(of: tokens, reference.state)
    }

    private mutating func addEncoded(_ tokens: [Int32]) throws {
        state.restart()
        let hidden = try model.hiddenStates(of: tokens, state)
        try logits?.append(hidden)
        if let expected = try referenceHidden(tokens) {
            cosines.append(MeanEmbedding.cosine(MeanEmbedding.pool(hidden), MeanEmbedding.pool(expected)))
        }
    }
}
