import CommandLineKit
import CompressionCore
import MatrixCore
import Models

/// Trains the compressed layers of all blocks together until the network predicts what the dense one predicts: the
/// divergence KL(dense ‖ compressed) of the next token, or for an encoder the distance of the last hidden states.
///
/// - Memory: four Floats for every stored number, and the activations of a step: of one block, and the hidden states
///   between all. Where those of all blocks are small they are kept; otherwise each block is computed again on the way
///   back.
/// - Cost of a step: three forward passes of the dense network, or four where blocks are computed again, and one of the
///   dense model.
struct NetworkRecovery {
    let model: Model
    let dense: Model
    let text: RecoveryText
    let settings: TrainingSettings
    /// The modules of each block that are trained.
    let modules: [[String]]

    /// Activations of all blocks that are kept at most.
    private static let keptBytes = 1 << 30

    /// Of the rate of blocks: their stage has done the long way already.
    private static let rateShare = 0.25

    /// - Returns: held-out losses before and after each epoch, in nats per token.
    func run(
        _ layers: inout TrainedLayers, from earlier: TrainingLoop.State?, _ progress: any ProgressReporter,
        _ interruption: Interruption, save: (TrainingLoop.State) throws -> Void
    ) throws -> [Double] {
        let weights = TrainingWeights(training: Set(layers.modules))
        let loop = TrainingLoop(
            text: text, settings: settings, epochs: settings.epochs,
            rate: settings.rate * Self.rateShare, title: "network",
            gradient: { try gradient($0, $1, weights) }, evaluate: { try evaluate($0, weights) })
        return try loop.run(&layers, from: earlier, progress, interruption, save: save)
    }

    // MARK: A step

    private func gradient(
        _ layers: TrainedLayers, _ numbers: [Int], _ weights: TrainingWeights
    ) throws -> (loss: Double, gradients: [String: Matrix]) {
        let batch = text.batch(numbers), positions = model.positions(of: batch)
        let keepsTapes = batch.tokens * model.tapeNumbersPerToken * 4 <= Self.keptBytes
        var inputs = [try text.embeddings(of: numbers, model, model.makeState(.onePass))]
        var tapes: [BlockTape] = []
        for layer in modules.indices {
            layers.load(modules[layer], into: weights)
            let tape = try model.forward(layer: layer, inputs[inputs.count - 1], batch, positions, weights)
            if keepsTapes { tapes.append(tape) } else { weights.clearWeights() }
            inputs.append(tape.output)
        }
        let output = inputs.removeLast()
        var slope = Matrix(uninitializedRows: output.rows, columns: output.columns)
        let loss = try model.loss(
            output.view, reference: try reference(numbers).view, dense: dense, gradient: slope.mutableView())
        var gradients: [String: Matrix] = [:]
        for layer in modules.indices.reversed() {
            let input = inputs.removeLast()
            if !keepsTapes { layers.load(modules[layer], into: weights) }
            let tape =
                try tapes.popLast() ?? model.forward(layer: layer, input, batch, positions, weights)
            slope = tape.pullBack(slope.view, weights)
            layers.addGradients(of: modules[layer], weights, to: &gradients)
            weights.clearGradients()
            if !keepsTapes { weights.clearWeights() }
        }
        weights.clearWeights()
        return (loss / Double(batch.tokens), gradients)
    }

    private func evaluate(_ layers: TrainedLayers, _ weights: TrainingWeights) throws -> Double {
        var loss = 0.0
        for numbers in text.heldOutBatches(tokensPerStep: settings.tokensPerStep) {
            let batch = text.batch(numbers), positions = model.positions(of: batch)
            var x = try text.embeddings(of: numbers, model, model.makeState(.onePass))
            for layer in modules.indices {
                layers.load(modules[layer], into: weights)
                x = try model.forward(layer: layer, x, batch, positions, weights).output
                weights.clearWeights()
            }
            loss += try model.loss(x.view, reference: try reference(numbers).view, dense: dense, gradient: nil)
        }
        return loss / Double(text.heldOutTokens)
    }

    /// What the dense model's head reads (tokens × hidden).
    private func reference(_ numbers: [Int]) throws -> Matrix {
        let hidden = dense.description.hidden
        var result = Matrix(uninitializedRows: numbers.reduce(0) { $0 + text.sequences[$1].count }, columns: hidden)
        let target = result.mutableView(), state = dense.makeState(.onePass)
        var start = 0
        for number in numbers {
            state.restart()
            let states = try dense.hiddenStates(of: text.sequences[number], state)
            (target.base + start * target.rowStride).update(from: states.base, count: states.rows * hidden)
            start += states.rows
        }
        return result
    }
}
