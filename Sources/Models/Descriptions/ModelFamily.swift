/// What a family of transformers is made of: the names of its modules and the few ways in which families differ.
///
/// A descriptor is data. The forward pass has one loop for all of them; whatever is different stands here or, where it
/// is a number, in config.json (see `ModelDescription`). Names are without prefix; `#` stands for the layer and, in
/// expert names, a second `#` for the expert.
public struct ModelFamily: Sendable {
    /// `model_type` in config.json.
    let modelType: String
    /// What may stand before all names.
    let prefixes: [String]
    let tiesHeadByDefault: Bool
    let isCausal: Bool
    let normalisation: NormalisationKind
    let residual: ResidualForm
    let slidingWindows: SlidingWindowRule
    let defaults: Defaults
    let names: Names
    let layer: LayerNames

    /// Where the norms of a layer stand and what is added to what.
    enum ResidualForm: Sendable {
        /// x += attention(norm(x)); x += mlp(norm(x)).
        case sequential
        /// x += attention(norm₁(x)) + mlp(norm₂(x)).
        case parallel
        /// x = norm(x + attention(x)); x = norm(x + mlp(x)).
        case normalisedAfter
    }

    enum NormalisationKind: Sendable {
        case rootMeanSquare
        case layer
    }

    /// Which layers a `sliding_window` is for.
    enum SlidingWindowRule: Sendable {
        case none
        /// All of them where it is given.
        case everyLayer
        /// All of them with `use_sliding_window`.
        case everyLayerIfUsed
        /// Those from `max_window_layers` on, with `use_sliding_window`.
        case upperLayersIfUsed
    }

    /// What the configuration class of the family assumes where config.json says nothing.
    struct Defaults: Sendable {
        var ropeTheta: Double?
        var partialRotaryFactor = 1.0
        var normEpsilon = 1e-6
        var slidingWindow: Int?
        var activation = "silu"
    }

    /// Modules outside of layers.
    struct Names: Sendable {
        let embedding: String
        var positionEmbedding: String?
        var typeEmbedding: String?
        var embeddingNorm: String?
        var finalNorm: String?
        /// Any of these; the prefix may be missing.
        var heads: [String] = []
    }

    /// Modules of a layer.
    struct LayerNames: Sendable {
        let prefix: String
        let attention: AttentionNames
        let attentionNorm: String
        let feedForward: FeedForwardNames
        let feedForwardNorm: String
        /// In place of `feedForward` in layers that have a router.
        var experts: [ExpertNames] = []
    }

    struct AttentionNames: Sendable {
        let projections: Projections
        let output: String
        /// Norms of each head's query and key.
        var queryNorm: String?
        var keyNorm: String?

        enum Projections: Sendable {
            case separate(query: String, key: String, value: String)
            case fused(String, FusedOrder)
        }
    }

    /// How the rows of one matrix for query, key and value are divided.
    enum FusedOrder: Sendable {
        /// All queries, all keys, all values.
        case byPart
        /// Query, key and value of the first head, then of the next.
        case byHead
    }

    enum FeedForwardNames: Sendable {
        /// down(act(gate(x)) · up(x))
        case gated(gate: String, up: String, down: String)
        /// output(act(input(x)))
        case plain(input: String, output: String)
    }

    /// One spelling of a block of experts.
    struct ExpertNames: Sendable {
        let router: String
        let gate: String
        let up: String
        let down: String
        /// Gate above up in one matrix, as a slice of a stack.
        let stackedGateUp: String
        let stackedDown: String
    }
}
