import Checkpoints
import CompressionCore
import MatrixCore
import Safetensors

/// A transformer that can be run: its layers, with weights where they are in the checkpoint.
///
/// ```swift
/// let model = try Model(Checkpoint(path: "Llama-2-7b-hf"), library: OperatorLibrary([DenseOperator.self]))
/// let state = model.makeState(retention: .everyLayer)
/// let hidden = try model.hiddenStates(of: ids, state)            // (tokens × hidden)
/// let logits = try model.logits(of: hidden.rows(last), state)    // (1 × vocabulary)
/// ```
///
/// Weights stay in the type they are stored in, mapped from the file; activations are Float. Every linear layer is a
/// `LinearOperator`, so a compressed model runs by the same lines as a dense one. The same input gives the same numbers
/// for any number of threads.
public struct Model: Sendable {
    public let description: ModelDescription
    let embedding: TokenEmbedding
    let blocks: [Block]
    let finalNorm: Normalisation?
    /// From hidden states to the vocabulary; nil for encoders.
    public let head: Linear?

    /// One layer.
    struct Block: Sendable {
        let attentionNorm: Normalisation
        let attention: Attention
        let feedForwardNorm: Normalisation
        let feedForward: Mixer

        enum Mixer: Sendable {
            case dense(FeedForward)
            case experts(MixtureOfExperts)

            func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>, _ state: SequenceState) {
                switch self {
                case .dense(let network): network.apply(x, into: y, state)
                case .experts(let network): network.apply(x, into: y, state)
                }
            }

            /// The layer that gives the outputs; nil for experts.
            var exit: Linear? {
                switch self {
                case .dense(let network): network.exit
                case .experts: nil
                }
            }
        }
    }

    public var vocabularySize: Int { embedding.tokens.rows }

    /// How long keys and values are kept.
    public enum Retention: Sendable {
        /// For sequences that are continued, token by token.
        case wholeSequence
        /// For sequences that are read in one go.
        case onePass
    }

    /// A new state for a sequence of this model.
    public func makeState(_ retention: Retention) -> SequenceState {
        SequenceState(
            cache: KeyValueCache(
                layers: blocks.count, features: description.keyValueHeads * description.headDimension,
                retention: retention == .wholeSequence ? .everyLayer : .currentLayer))
    }
}

/// Embeddings of tokens, and of positions and sentence types where the family has them.
struct TokenEmbedding: Sendable {
    /// (vocabulary × hidden)
    let tokens: MatrixOperand
    /// (positions × hidden)
    let positions: MatrixOperand?
    /// (types × hidden); every token is of the first type.
    let types: MatrixOperand?
    let norm: Normalisation?
}
