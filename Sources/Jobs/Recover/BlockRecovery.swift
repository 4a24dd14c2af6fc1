import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore
import Models

/// Trains the compressed layers of one block until its output, from what the compressed network gives it, is as near as
/// they can come to that of the dense block: so a block makes up for the errors of earlier ones too.
struct BlockRecovery {
    let model: Model
    let layer: Int
    let text: RecoveryText
    let states: RecoveryStates
    let settings: TrainingSettings

    /// - Returns: held-out losses before and after each epoch: ‖y − t‖² / ‖t‖².
    func run(
        _ layers: inout TrainedLayers, _ progress: any ProgressReporter, _ interruption: Interruption
    ) throws -> [Double] {
        guard let target = states.target else { preconditionFailure("the dense block comes first") }
        let weights = TrainingWeights(training: Set(layers.modules))
        let loop = TrainingLoop(
            text: text, settings: settings, epochs: settings.blockEpochs, rate: settings.rate,
            title: "block \(layer)",
            gradient: { try gradient($0, $1, target, weights) }, evaluate: { try evaluate($0, target, weights) })
        return try loop.run(&layers, progress, interruption)
    }

    private func gradient(
        _ layers: TrainedLayers, _ numbers: [Int], _ target: HiddenStates, _ weights: TrainingWeights
    ) throws -> (loss: Double, gradients: [String: Matrix]) {
        layers.load(layers.modules, into: weights)
        let tape = try forward(numbers, weights)
        let wanted = try text.rows(of: numbers, in: target, hidden: model.description.hidden)
        var slope = Matrix(uninitializedRows: wanted.rows, columns: wanted.columns)
        let loss = HiddenStateLoss.compute(tape.output.view, reference: wanted.view, gradient: slope.mutableView())
        _ = tape.pullBack(slope.view, weights)
        var gradients: [String: Matrix] = [:]
        layers.addGradients(of: layers.modules, weights, to: &gradients)
        weights.clearGradients()
        return (2 * loss / Double(wanted.rows), gradients)
    }

    private func evaluate(
        _ layers: TrainedLayers, _ target: HiddenStates, _ weights: TrainingWeights
    ) throws -> Double {
        layers.load(layers.modules, into: weights)
        var error = 0.0, norm = 0.0
        for numbers in text.heldOutBatches(tokensPerStep: settings.tokensPerStep) {
            let output = try forward(numbers, weights).output
            let wanted = try text.rows(of: numbers, in: target, hidden: model.description.hidden)
            error += sumOfSquaredDifferences(MatrixOperand(output), MatrixOperand(wanted))
            norm += sumOfSquares(MatrixOperand(wanted))
        }
        return norm > 0 ? error / norm : 0
    }

    private func forward(_ numbers: [Int], _ weights: TrainingWeights) throws -> BlockTape {
        let batch = text.batch(numbers)
        let x = try text.rows(of: numbers, in: states.input, hidden: model.description.hidden)
        return try model.forward(layer: layer, x, batch, model.positions(of: batch), weights)
    }
}
