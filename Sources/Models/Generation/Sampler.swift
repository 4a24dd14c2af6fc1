import Foundation
import MatrixCore

/// Chooses the next token from logits: the likeliest, or at random.
///
/// At random, the logits are divided by the temperature, then only the `topK` likeliest are kept, then the fewest of
/// them that together have a probability of `topP`. The numbers drawn depend on the seed and on how many tokens were
/// drawn before, and on nothing else.
public struct Sampler: Sendable {
    /// 0 takes the likeliest token; of equals the one with the lowest id.
    public var temperature: Double
    public var topK: Int?
    /// In (0, 1].
    public var topP: Double?
    private let random: CounterRandom

    public init(temperature: Double = 0, topK: Int? = nil, topP: Double? = nil, seed: UInt64 = 0) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        random = CounterRandom(seed: seed)
    }

    /// - Parameters:
    ///   - logits: (1 × vocabulary), finite.
    ///   - step: how many tokens were drawn before.
    public func choose(_ logits: MatrixView<Float>, step: Int) -> Int32 {
        if temperature == 0 { return Int32(likeliest(logits)) }
        let candidates = candidates(logits)
        let largest = candidates.first.map { Double(logits[0, $0]) } ?? 0
        let weights = candidates.map { exp((Double(logits[0, $0]) - largest) / temperature) }
        let kept = nucleus(weights)
        var rest = random.uniform(step) * weights[..<kept].reduce(0, +)
        for index in 0..<kept {
            rest -= weights[index]
            if rest < 0 { return Int32(candidates[index]) }
        }
        return Int32(candidates[max(0, kept - 1)])
    }

    private func likeliest(_ logits: MatrixView<Float>) -> Int {
        var best = 0
        for token in 1..<max(1, logits.columns) where logits[0, token] > logits[0, best] { best = token }
        return best
    }

    /// Tokens from the likeliest down, at most `topK`.
    private func candidates(_ logits: MatrixView<Float>) -> [Int] {
        let sorted = (0..<logits.columns).sorted {
            logits[0, $0] == logits[0, $1] ? $0 < $1 : logits[0, $0] > logits[0, $1]
        }
        return Array(sorted.prefix(topK ?? sorted.count))
    }

    /// How many of the sorted weights reach the probability `topP`.
    private func nucleus(_ weights: [Double]) -> Int {
        guard let topP else { return weights.count }
        let goal = topP * weights.reduce(0, +)
        var sum = 0.0
        for (index, weight) in weights.enumerated() {
            sum += weight
            if sum >= goal { return index + 1 }
        }
        return weights.count
    }
}
