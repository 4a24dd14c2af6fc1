import Foundation
import MatrixCore

/// The loss of a model over sequences: what was scored, and how sure the mean is.
///
/// - Source: METHODS §8. The loss is the mean over tokens; its standard error is that of a ratio of sums over
///   sequences, √(n / (n − 1) · Σ (lossᵢ − loss · countᵢ)²) / Σ countᵢ.
public struct Perplexity: Sendable {
    /// Summed losses in nats and number of scored tokens of each sequence.
    public private(set) var sequences: [(loss: Double, tokens: Int)] = []

    public init() {}

    public mutating func append(loss: Double, tokens: Int) {
        sequences.append((loss, tokens))
    }

    /// Scored tokens.
    public var tokens: Int { sequences.reduce(0) { $0 + $1.tokens } }

    /// Mean loss in nats per scored token.
    public var loss: Double { tokens == 0 ? 0 : sequences.reduce(0) { $0 + $1.loss } / Double(tokens) }

    public var perplexity: Double { exp(loss) }

    /// Of the loss; 0 for a single sequence.
    public var standardError: Double {
        let count = Double(sequences.count)
        guard sequences.count > 1, tokens > 0 else { return 0 }
        let mean = loss
        let squares = sequences.reduce(0) { sum, sequence in
            let difference = sequence.loss - mean * Double(sequence.tokens)
            return sum + difference * difference
        }
        return (squares * count / (count - 1)).squareRoot() / Double(tokens)
    }
}

extension Model {
    /// The losses of tokens 2… of a sequence, read in one go.
    ///
    /// - Parameter eachLogits: told of the logits (rows × vocabulary) of consecutive tokens, first to last.
    /// - Throws: `ModelError` for bad tokens and numbers that are not finite.
    public func losses(
        of tokens: [Int32], _ state: SequenceState,
        eachLogits: (_ firstRow: Int, MatrixView<Float>) throws -> Void = { _, _ in }
    ) throws -> [Double] {
        state.restart()
        let hidden = try hiddenStates(of: tokens, state)
        var losses: [Double] = []
        losses.reserveCapacity(tokens.count)
        for first in stride(from: 0, to: tokens.count, by: rowsOfLogitsAtOnce) {
            let rows = first..<min(first + rowsOfLogitsAtOnce, tokens.count)
            let logits = try logits(of: hidden.rows(rows), state)
            try eachLogits(first, logits)
            // The last token of the sequence has nothing to predict.
            let scored = min(rows.count, tokens.count - 1 - first)
            losses += TokenLosses.compute(logits.rows(0..<scored), targets: tokens[first + 1..<first + 1 + scored])
        }
        return losses
    }
}
