import CompressionCore
import Kernels
import MatrixCore

/// The forward pass in parts that can be gone back through.
///
/// Linear layers are computed from `TrainingWeights`; everything else, norms and embeddings and biases, stays as the
/// model has it. The same batch and weights give the same numbers for any number of threads.
extension Model {
    /// Rotations of the tokens of a batch; made once for all layers.
    public struct Positions: Sendable {
        let rotary: [RotaryEmbedding]
    }

    public func positions(of batch: TokenBatch) -> Positions {
        guard let rotary = description.rotary else { return Positions(rotary: []) }
        return Positions(rotary: batch.sequences.map { RotaryEmbedding(rotary, tokens: $0.count) })
    }

    /// A block from its input x (tokens × hidden).
    /// - Throws: `.nonFinite` naming the layer.
    public func forward(
        layer index: Int, _ x: Matrix, _ batch: TokenBatch, _ positions: Positions, _ weights: TrainingWeights
    ) throws(ModelError) -> BlockTape {
        let tape = BlockTape(blocks[index], description.residual, x, batch, positions.rotary, weights)
        if firstNonFinite(MatrixOperand(tape.output)) != nil { throw .nonFinite(place: "layer \(index)") }
        return tape
    }

    /// The modules of a block, in the order in which they read their inputs.
    public func modules(ofLayer index: Int) -> [String] {
        inputs(ofLayer: index).flatMap(\.modules)
    }

    /// Numbers that the tapes of all blocks hold for a token, about.
    public var tapeNumbersPerToken: Int {
        (0..<description.layers).reduce(0) { sum, layer in
            let inputs = inputs(ofLayer: layer).reduce(0) { $0 + $1.features * $1.modules.count }
            return sum + 6 * description.hidden + 3 * inputs
        }
    }

    /// What the head makes of the output of the last block, held against what the dense model makes of its own.
    ///
    /// The loss is KL(dense ‖ model), summed over tokens, in nats. Without a head it is half the squared distance of
    /// the hidden states over that of the dense ones, times the tokens.
    ///
    /// - Parameters:
    ///   - x: output of the last block (tokens × hidden).
    ///   - reference: hidden states of the dense model behind its final norm (tokens × hidden).
    ///   - dense: the model that they are of.
    ///   - gradient: takes ∂L/∂x (tokens × hidden); nil where only the loss is wanted.
    public func loss(
        _ x: MatrixView<Float>, reference: MatrixView<Float>, dense: Model, gradient: MutableMatrixView<Float>?
    ) throws(ModelError) -> Double {
        guard let head, let denseHead = dense.head else {
            return HiddenStateLoss.compute(x, reference: reference, gradient: gradient)
        }
        var total = 0.0
        let weights = TrainingWeights(training: [])
        for first in stride(from: 0, to: x.rows, by: rowsOfLogitsAtOnce) {
            let rows = first..<min(first + rowsOfLogitsAtOnce, x.rows)
            let own = Matrix(x.rows(rows))
            let normalised = finalNorm?.normalised(own) ?? own
            var logits = weights.apply(head, normalised.view)
            let wanted = TrainingWeights(training: []).apply(denseHead, reference.rows(rows))
            if firstNonFinite(MatrixOperand(logits)) != nil { throw .nonFinite(place: "the head") }
            total += PredictionLoss.divergence(logits.mutableView(), reference: wanted.view)
            guard let gradient else { continue }
            var slope = Matrix(uninitializedRows: rows.count, columns: own.columns)
            weights.pullBack(head, input: normalised.view, gradient: logits.view, into: slope.mutableView())
            let result = finalNorm?.pulledBack(input: own, gradient: slope.view) ?? slope
            convert(MatrixOperand(result), into: MutableMatrixOperand(gradient.rows(rows)))
        }
        return total
    }
}
