import Checkpoints
import CompressionCore
import Kernels
import MatrixCore
import Safetensors
import Testing

@testable import Models

/// Gradients of a pass back against differences of losses that plain forward passes give.
struct GradientPassTests {
    private static let sequences: [[Int32]] = [[1, 5, 9, 2, 17, 4, 29, 11], [3, 8, 8, 21, 0]]

    /// Copies what layers read, sequence by sequence, one below the other.
    private final class Inputs: ForwardObserver {
        var rows: [String: [[Float]]] = [:]

        func willApply(_ module: String, to input: MatrixView<Float>) {
            for row in 0..<input.rows {
                rows[module, default: []].append((0..<input.columns).map { input[row, $0] })
            }
        }
    }

    private static func loss(_ model: Model) throws -> Double {
        let state = model.makeState(.onePass)
        var sum = 0.0
        for tokens in sequences {
            state.restart()
            let logits = try model.logits(of: model.hiddenStates(of: tokens, state), state)
            sum += TokenLosses.compute(logits.rows(0..<tokens.count - 1), targets: tokens[1...]).reduce(0, +)
        }
        return sum
    }

    /// What reaches the outputs of a layer, times its inputs, is the slope of the loss along its weight: the difference
    /// of the losses of two neighbours in that direction tells its length.
    @Test func whatReachesTheOutputsIsTheSlopeOfTheLoss() throws {
        for fixture in Fixture.all {
            let model = try fixture.model()
            let inputs = Inputs(), state = model.makeState(.onePass)
            state.observer = inputs
            for tokens in Self.sequences {
                state.restart()
                _ = try model.hiddenStates(of: tokens, state)
            }
            var gradients: [String: [Float]] = [:]
            let pass = GradientPass(model) { gradients[$0, default: []] += Matrix($1).elements }
            for tokens in Self.sequences { try pass.run(tokens) }
            let last = model.description.layers - 1
            let names = model.outputs(ofLayer: 0).map(\.module) + model.outputs(ofLayer: last).map(\.module)
            #expect(Set(gradients.keys).isSuperset(of: names), "\(fixture.name)")
            let checkpoint = try Checkpoint(path: fixture.folder)
            for module in checkpoint.compressibleModules where names.contains(module.name) {
                let gradient = try #require(gradients[module.name]), rows = try #require(inputs.rows[module.name])
                try #require(gradient.count == rows.count * module.outFeatures)
                let slope = Matrix(rows: module.outFeatures, columns: module.inFeatures) { output, input in
                    Float(
                        (0..<rows.count).reduce(0.0) {
                            $0 + Double(gradient[$1 * module.outFeatures + output]) * Double(rows[$1][input])
                        })
                }
                let length = sumOfSquares(MatrixOperand(slope)).squareRoot()
                let weight = try checkpoint.operand(of: module)
                func moved(_ step: Double) throws -> Double {
                    let other = Matrix(rows: slope.rows, columns: slope.columns) {
                        Float(weight[$0, $1] + step * Double(slope[$0, $1]) / length)
                    }
                    let replaced = try Model(
                        checkpoint, library: OperatorLibrary([DenseOperator.self]),
                        replacing: [module.name: DenseOperator(weight: MatrixOperand(other))])
                    return try Self.loss(replaced)
                }
                // The steeper, the shorter: the loss itself moves alike.
                let step = min(0.01, 0.5 / length)
                let found = try (moved(step) - moved(-step)) / (2 * step)
                #expect(abs(found - length) < 0.02 * length + 2e-3, "\(module.name): \(found), \(length)")
            }
        }
    }
}
