import MatrixCore

/// A block of a model on its way forward, with what its way back needs.
///
/// ```swift
/// let tape = model.forward(layer: 3, x, batch, rotary, weights)
/// …                                                           // gradient of a loss towards tape.output
/// let dx = tape.pullBack(gradient.view, weights)              // and ∂L/∂W' of trained layers in the weights
/// ```
///
/// - Memory: the inputs of all layers of the block, and what its entrance layers give.
public struct BlockTape {
    private let block: Model.Block
    private let residual: ModelFamily.ResidualForm
    private let input: Matrix
    private let attention: AttentionTape
    private let mixer: Mixer
    /// After the attention was added; for a parallel residual, the input.
    private let middle: Matrix
    /// What the last norm reads, where it stands behind the MLP.
    private var unnormalised: Matrix?
    /// (tokens × hidden)
    public let output: Matrix

    private enum Mixer {
        case dense(FeedForwardTape)
        case experts(MixtureTape)

        init(_ mixer: Model.Block.Mixer, _ input: Matrix, _ weights: TrainingWeights) {
            switch mixer {
            case .dense(let network): self = .dense(FeedForwardTape(network, input, weights))
            case .experts(let mixture): self = .experts(MixtureTape(mixture, input, weights))
            }
        }

        var output: Matrix {
            switch self {
            case .dense(let tape): tape.output
            case .experts(let tape): tape.output
            }
        }

        func pullBack(_ gradient: MatrixView<Float>, _ weights: TrainingWeights) -> Matrix {
            switch self {
            case .dense(let tape): tape.pullBack(gradient, weights)
            case .experts(let tape): tape.pullBack(gradient, weights)
            }
        }
    }

    init(
        _ block: Model.Block, _ residual: ModelFamily.ResidualForm, _ x: Matrix, _ batch: TokenBatch,
        _ rotary: [RotaryEmbedding], _ weights: TrainingWeights
    ) {
        self.block = block
        self.residual = residual
        input = x
        switch residual {
        case .sequential:
            attention = AttentionTape(block.attention, block.attentionNorm.normalised(x), batch, rotary, weights)
            middle = Self.sum(x, attention.output)
            mixer = Mixer(block.feedForward, block.feedForwardNorm.normalised(middle), weights)
            output = Self.sum(middle, mixer.output)
        case .parallel:
            attention = AttentionTape(block.attention, block.attentionNorm.normalised(x), batch, rotary, weights)
            middle = x
            mixer = Mixer(block.feedForward, block.feedForwardNorm.normalised(x), weights)
            output = Self.sum(x, Self.sum(attention.output, mixer.output))
        case .normalisedAfter:
            attention = AttentionTape(block.attention, x, batch, rotary, weights)
            middle = Self.sum(x, attention.output)
            let normalised = block.attentionNorm.normalised(middle)
            mixer = Mixer(block.feedForward, normalised, weights)
            let sum = Self.sum(normalised, mixer.output)
            unnormalised = sum
            output = block.feedForwardNorm.normalised(sum)
        }
    }

    /// ∂L/∂x (tokens × hidden) from ∂L/∂output.
    public func pullBack(_ gradient: MatrixView<Float>, _ weights: TrainingWeights) -> Matrix {
        var result = Matrix(gradient)
        switch residual {
        case .sequential:
            let mixed = mixer.pullBack(gradient, weights)
            block.feedForwardNorm.pullBack(
                input: middle.view, gradient: mixed.view, addingTo: result.mutableView())
            let attended = attention.pullBack(result.view, weights)
            block.attentionNorm.pullBack(input: input.view, gradient: attended.view, addingTo: result.mutableView())
            return result
        case .parallel:
            let mixed = mixer.pullBack(gradient, weights)
            block.feedForwardNorm.pullBack(input: input.view, gradient: mixed.view, addingTo: result.mutableView())
            let attended = attention.pullBack(gradient, weights)
            block.attentionNorm.pullBack(input: input.view, gradient: attended.view, addingTo: result.mutableView())
            return result
        case .normalisedAfter:
            let sum = block.feedForwardNorm.pulledBack(input: unnormalised ?? middle, gradient: gradient)
            let mixed = Self.sum(sum, mixer.pullBack(sum.view, weights))
            let middleGradient = block.attentionNorm.pulledBack(input: middle, gradient: mixed.view)
            return Self.sum(middleGradient, attention.pullBack(middleGradient.view, weights))
        }
    }

    private static func sum(_ a: Matrix, _ b: Matrix) -> Matrix {
        var result = a
        let target = result.mutableView(), source = b.view
        forEachRowBlock(target.rows, columns: target.columns) { rows in
            for row in rows {
                VectorMath.combine(
                    target.base + row * target.rowStride, source.base + row * source.rowStride, target.columns
                ) { $0 + $1 }
            }
        }
        return result
    }
}

extension Normalisation {
    func normalised(_ x: Matrix) -> Matrix {
        var result = Matrix(uninitializedRows: x.rows, columns: x.columns)
        apply(x.view, into: result.mutableView())
        return result
    }

    /// Jᵀ dy by itself.
    func pulledBack(input x: Matrix, gradient dy: MatrixView<Float>) -> Matrix {
        var result = Matrix(rows: x.rows, columns: x.columns)
        pullBack(input: x.view, gradient: dy, addingTo: result.mutableView())
        return result
    }
}
