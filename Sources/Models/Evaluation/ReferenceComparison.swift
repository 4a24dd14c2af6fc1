import Foundation
import MatrixCore

/// How far the predictions of a model are from those of a reference: Kullback–Leibler divergence, agreement, and how
/// sure both are.
public struct ReferenceComparison: Sendable {
    /// Sums over positions, in nats; that of KL(reference ‖ model) first.
    public private(set) var divergence = 0.0
    private var entropy = 0.0, ownReferenceEntropy = 0.0
    private var agreements = 0
    /// Positions compared.
    public private(set) var positions = 0
    /// The reference's own losses.
    public var reference = Perplexity()

    public init() {}

    /// Mean KL(reference ‖ model) in nats.
    public var meanDivergence: Double { mean(divergence) }

    /// Share of positions at which both put the same token first.
    public var topAgreement: Double { mean(Double(agreements)) }

    /// Mean entropy of the model's predictions in nats.
    public var outputEntropy: Double { mean(entropy) }

    /// Mean entropy of the reference's predictions in nats.
    public var referenceEntropy: Double { mean(ownReferenceEntropy) }

    private func mean(_ sum: Double) -> Double { positions == 0 ? 0 : sum / Double(positions) }

    /// Adds positions: logits of both models (positions × vocabulary).
    public mutating func append(_ model: MatrixView<Float>, reference: MatrixView<Float>) {
        let modelNormalisers = TokenLosses.logSumsOfExponentials(model)
        let referenceNormalisers = TokenLosses.logSumsOfExponentials(reference)
        let results = AlignedBuffer<Position>(uninitializedCount: model.rows)
        forEachRowBlock(model.rows, columns: model.columns * 16) { rows in
            for row in rows {
                results.base[row] = Position(
                    (model.base + row * model.rowStride, modelNormalisers[row]),
                    reference: (reference.base + row * reference.rowStride, referenceNormalisers[row]), model.columns)
            }
        }
        for row in 0..<model.rows {
            divergence += results.base[row].divergence
            entropy += results.base[row].entropy
            ownReferenceEntropy += results.base[row].referenceEntropy
            agreements += results.base[row].agrees ? 1 : 0
        }
        positions += model.rows
    }

    /// One position's share of the sums.
    private struct Position: BitwiseCopyable {
        /// Σ p log(p / q), p the reference's distribution.
        private(set) var divergence = 0.0
        private(set) var entropy = 0.0, referenceEntropy = 0.0
        let agrees: Bool

        /// Each model's logits (count) with log Σ e^logit.
        init(
            _ model: (logits: UnsafePointer<Float>, normaliser: Double),
            reference: (logits: UnsafePointer<Float>, normaliser: Double), _ count: Int
        ) {
            for i in 0..<count {
                let logQ = Double(model.logits[i]) - model.normaliser
                let logP = Double(reference.logits[i]) - reference.normaliser
                let p = exp(logP)
                divergence += p * (logP - logQ)
                referenceEntropy -= p * logP
                entropy -= exp(logQ) * logQ
            }
            agrees = Self.largest(model.logits, count) == Self.largest(reference.logits, count)
        }

        /// The first of the largest numbers.
        private static func largest(_ p: UnsafePointer<Float>, _ count: Int) -> Int {
            let best = VectorMath.maximum(p, count)
            return (0..<count).first { p[$0] == best } ?? 0
        }
    }
}

/// The mean over tokens of an encoder's hidden states, and the angle between two of them.
public enum MeanEmbedding {
    /// (hidden)
    public static func pool(_ hidden: MatrixView<Float>) -> [Double] {
        var sums = [Double](repeating: 0, count: hidden.columns)
        for row in 0..<hidden.rows {
            for column in 0..<hidden.columns { sums[column] += Double(hidden[row, column]) }
        }
        return sums.map { $0 / Double(max(hidden.rows, 1)) }
    }

    /// Cosine of the angle; 0 where one is zero.
    public static func cosine(_ left: [Double], _ right: [Double]) -> Double {
        func product(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
        let norms = (product(left, left) * product(right, right)).squareRoot()
        return norms == 0 ? 0 : product(left, right) / norms
    }
}
