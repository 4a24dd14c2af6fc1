import Checkpoints
import CompressionCore
import MatrixCore
import Models

/// How far the outputs of a model move over some sequences when single layers are replaced.
///
/// For a model with a head the mean Kullback–Leibler divergence of its predictions from the dense model's, in nats; for
/// an encoder the mean relative squared error of its hidden states. The dense model runs once; its last hidden states
/// are kept, and their logits are computed anew block by block, so memory does not grow with the vocabulary.
struct OutputDivergence {
    private let checkpoint: Checkpoint
    private let sequences: [[Int32]]
    private let dense: Model
    /// Last hidden states of each sequence (tokens × hidden).
    private let expected: [Matrix]

    /// - Parameter samples: how many of the sequences are taken, from the first on.
    init(_ checkpoint: Checkpoint, text: SequenceSource, samples: Int) throws {
        let dense = try Model(checkpoint, library: MethodRegistry.library)
        let all = try text.sequences(folder: checkpoint.path, model: dense).sequences
        try self.init(checkpoint, dense, Array(all.prefix(samples)))
    }

    init(_ checkpoint: Checkpoint, _ dense: Model, _ sequences: [[Int32]]) throws {
        self.checkpoint = checkpoint
        self.sequences = sequences
        let state = dense.makeState(.onePass)
        expected = try sequences.map { tokens in
            state.restart()
            return Matrix(try dense.hiddenStates(of: tokens, state))
        }
        self.dense = dense
    }

    /// - Parameter replacements: operators by module name.
    func measure(replacing replacements: [String: any LinearOperator]) throws -> Double {
        let sums = try sums(replacing: replacements)
        return sums.last.map { $0.value / Double(max($0.count, 1)) } ?? 0
    }

    /// The same of every sequence, so that its mean over all is that of `measure`: how sure a difference is, the
    /// samples tell.
    func samples(replacing replacements: [String: any LinearOperator]) throws -> [Double] {
        let sums = try sums(replacing: replacements)
        let share = Double(sums.count) / Double(max(sums.last?.count ?? 1, 1))
        return sums.indices.map { (sums[$0].value - ($0 > 0 ? sums[$0 - 1].value : 0)) * share }
    }

    /// Divergences added up, and over how many positions or encoded sequences, behind each sequence.
    private func sums(replacing replacements: [String: any LinearOperator]) throws -> [(value: Double, count: Int)] {
        let model = try Model(checkpoint, library: MethodRegistry.library, replacing: replacements)
        let state = model.makeState(.onePass), denseState = dense.makeState(.onePass)
        var comparison = ReferenceComparison()
        var hiddenErrors = 0.0
        var sums: [(value: Double, count: Int)] = []
        for (tokens, expected) in zip(sequences, expected) {
            state.restart()
            let found = try model.hiddenStates(of: tokens, state)
            if model.head == nil {
                hiddenErrors += Self.relativeError(found, expected.view)
                sums.append((hiddenErrors, sums.count + 1))
                continue
            }
            for first in stride(from: 0, to: found.rows, by: Self.blockRows) {
                let rows = first..<min(first + Self.blockRows, found.rows)
                let logits = try model.logits(of: found.rows(rows), state)
                comparison.append(logits, reference: try dense.logits(of: expected.view.rows(rows), denseState))
            }
            sums.append((comparison.divergence, comparison.positions))
        }
        return sums
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
