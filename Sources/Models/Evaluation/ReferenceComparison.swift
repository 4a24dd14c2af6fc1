import Foundation
import MatrixCore

/// How far the predictions of a model are from those of a reference: Kullback–Leibler divergence and agreement.
public struct ReferenceComparison: Sendable {
    /// Σ over positions of Σ p log(p / q), p the reference's distribution, in nats.
    private var divergence = 0.0
    private var agreements = 0
    /// Positions compared.
    public private(set) var positions = 0
    /// The reference's own losses.
    public var reference = Perplexity()

    public init() {}

    /// Mean KL(reference ‖ model) in nats.
    public var meanDivergence: Double { positions == 0 ? 0 : divergence / Double(positions) }

    /// Share of positions at which both put the same token first.
    public var topAgreement: Double { positions == 0 ? 0 : Double(agreements) / Double(positions) }

    /// Adds positions: logits of both models (positions × vocabulary).
    public mutating func append(_ model: MatrixView<Float>, reference: MatrixView<Float>) {
        let modelNormalisers = TokenLosses.logSumsOfExponentials(model)
        let referenceNormalisers = TokenLosses.logSumsOfExponentials(reference)
        let results = AlignedBuffer<Double>(uninitializedCount: model.rows)
        let agreed = AlignedBuffer<Int>(uninitializedCount: model.rows)
        forEachRowBlock(model.rows, columns: model.columns * 8) { rows in
            for row in rows {
                let q = model.base + row * model.rowStride, p = reference.base + row * reference.rowStride
                let shift = referenceNormalisers[row], difference = modelNormalisers[row] - shift
                var sum = 0.0
                for i in 0..<model.columns {
                    sum += exp(Double(p[i]) - shift) * (Double(p[i]) - Double(q[i]) + difference)
                }
                results.base[row] = sum
                agreed.base[row] = Self.largest(q, model.columns) == Self.largest(p, model.columns) ? 1 : 0
            }
        }
        for row in 0..<model.rows {
            divergence += results.base[row]
            agreements += agreed.base[row]
        }
        positions += model.rows
    }

    /// The first of the largest numbers.
    private static func largest(_ p: UnsafePointer<Float>, _ count: Int) -> Int {
        let best = VectorMath.maximum(p, count)
        return (0..<count).first { p[$0] == best } ?? 0
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
