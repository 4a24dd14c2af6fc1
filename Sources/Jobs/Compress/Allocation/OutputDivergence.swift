import Checkpoints
import CompressionCore
import MatrixCore
import Models

/// How far the outputs of a model move over some sequences when single layers are replaced.
///
/// For a model with a head the mean Kullback–Leibler divergence of its predictions from the dense model's, in nats; for an
/// encoder the mean relative squared error of its hidden states. The dense model runs once; its last hidden states are
/// kept, and their logits are computed anew block by block, so memory does not grow with the vocabulary.
struct OutputDivergence {
    private let checkpoint: Checkpoint
    private let sequences: [[Int32]]
    private let dense: Model
    /// Last hidden states of each sequence (tokens × hidden).
    private let expected: [Matrix]

    /// - Parameter isFromEnd: whether the last sequences are taken and not the first.
    init(_ checkpoint: Checkpoint, text: SequenceSource, samples: Int, isFromEnd: Bool = false) throws {
        self.checkpoint = checkpoint
        let dense = try Model(checkpoint, library: MethodRegistry.library)
        let all = try text.sequences(folder: checkpoint.path, model: dense.description).sequences
        sequences = Array(isFromEnd ? all.suffix(samples) : all.prefix(samples))
        let state = dense.makeState(.onePass)
        expected = try sequences.map { tokens in
            state.restart()
            return Matrix(try dense.hiddenStates(of: tokens, state))
        }
        self.dense = dense
    }

    /// - Parameter replacements: operators by module name.
    func measure(replacing replacements: [String: any LinearOperator]) throws -> Double {
        let model = try Model(checkpoint, library: MethodRegistry.library, replacing: replacements)
        let state = model.makeState(.onePass), denseState = dense.makeState(.onePass)
        var comparison = ReferenceComparison()
        var hiddenErrors = 0.0
        for (tokens, expected) in zip(sequences, expected) {
            state.restart()
            let found = try model.hiddenStates(of: tokens, state)
            if model.head == nil {
                hiddenErrors += Self.relativeError(found, expected.view)
                continue
            }
            for first in stride(from: 0, to: found.rows, by: Self.blockRows) {
                let rows = first..<min(first + Self.blockRows, found.rows)
                let logits = try model.logits(of: found.rows(rows), state)
                comparison.append(logits, reference: try dense.logits(of: expected.view.rows(rows), denseState))
            }
        }
        return model.head == nil ? hiddenErrors / Double(max(sequences.count, 1)) : comparison.meanDivergence
    }

    /// Positions whose logits are in memory at a time.
    private static let blockRows = 128

    private static func relativeError(_ found: MatrixView<Float>, _ expected: MatrixView<Float>) -> Double {
        var error = 0.0, norm = 0.0
        for row in 0..<found.rows {
            for column in 0..<found.columns {
                let difference = Double(found[row, column]) - Double(expected[row, column])
                error += difference * difference
                norm += Double(expected[row, column]) * Double(expected[row, column])
            }
        }
        return norm > 0 ? error / norm : 0
    }
}
