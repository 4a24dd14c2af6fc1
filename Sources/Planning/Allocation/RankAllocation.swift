import CompressionCore
import Foundation

/// Ranks of matrices whose loss curves are known, within a number of parameters.
///
/// Whatever the rule, ranks are first scaled down until they fit, and what is left is then spent where it saves most of
/// the weighted loss, so that every rule ends close below its budget and never above.
public struct RankAllocation: Sendable {
    /// A matrix that takes part.
    public struct Matrix: Sendable {
        public let curve: LossCurve
        /// Matrices of one kind are compared with each other by the rule `loss`.
        public let kind: String
        /// What a relative squared error of 1 counts.
        public let sensitivity: Double

        public init(curve: LossCurve, kind: String, sensitivity: Double = 1) {
            self.curve = curve
            self.kind = kind
            self.sensitivity = sensitivity
        }
    }

    private let matrices: [Matrix]
    private let rule: AllocationRule
    private let filling: WaterFilling

    public init(_ matrices: [Matrix], rule: AllocationRule) {
        self.matrices = matrices
        self.rule = rule
        filling = WaterFilling(
            matrices.map { matrix in
                let total = matrix.curve.total
                return WaterFilling.Matrix(curve: matrix.curve, weight: total > 0 ? matrix.sensitivity / total : 0)
            })
    }

    /// Parameters that the smallest ranks take.
    public var leastParameters: Int { filling.leastParameters }

    /// Weighted relative losses at given ranks, summed.
    public func loss(at ranks: [Int?]) -> Double { filling.loss(at: ranks) }

    public func parameters(at ranks: [Int?]) -> Int { filling.parameters(at: ranks) }

    /// A rank for each matrix, nil where it stays dense; nil if the budget is below `leastParameters`.
    public func ranks(within parameters: Int) -> [Int?]? {
        guard parameters >= leastParameters else { return nil }
        if rule == .greedy || rule == .perplexity { return greedyRanks(within: parameters) }
        let start: [Int?]? =
            switch rule {
            case .greedy, .perplexity, .uniform:
                largest(within: parameters, upTo: 1) { scale in uniformRanks(keep: scale) }
            case .effectiveRank: largest(within: parameters, upTo: Self.largestScale) { scaledEffectiveRanks(by: $0) }
            case .loss: largest(within: parameters, upTo: 1) { removedByLoss(share: 1 - $0, parameters) }
            }
        return filling.ranks(within: parameters, from: start)
    }

    /// Water filling, unless the last steps leave so much over that equal shares are better.
    private func greedyRanks(within parameters: Int) -> [Int?]? {
        let even = RankAllocation(matrices, rule: .uniform).ranks(within: parameters)
        let found = filling.ranks(within: parameters)
        if let even, let found, loss(at: even) < loss(at: found) { return even }
        return found
    }

    /// Far above the scale at which everything is dense.
    private static let largestScale = 1e9

    /// The ranks of the largest scale that fits; nil where none does.
    private func largest(within parameters: Int, upTo limit: Double, _ ranks: (Double) -> [Int?]) -> [Int?]? {
        var low = 0.0, high = limit
        var best: [Int?]?
        for step in 0..<100 {
            // Over many powers of ten by the square root, otherwise by halves.
            let middle = step == 0 ? high : limit > 1 && low == 0 ? high.squareRoot() : (low + high) / 2
            let candidate = ranks(middle)
            if filling.parameters(at: candidate) <= parameters {
                best = candidate
                low = middle
            } else {
                high = middle
            }
        }
        return best
    }

    /// The largest rank of each matrix within a share of its parameters, its smallest where none is.
    private func uniformRanks(keep: Double) -> [Int?] {
        matrices.map { Self.rank(of: $0.curve, within: keep * Double($0.curve.denseParameters)) }
    }

    private static func rank(of curve: LossCurve, within parameters: Double) -> Int? {
        if parameters >= Double(curve.denseParameters) { return nil }
        return (curve.points.last { Double($0.parameters) <= parameters } ?? curve.points.first)?.rank
    }

    /// k = scale · √(R/ω), with ω the parameters that the first rank costs.
    private func scaledEffectiveRanks(by scale: Double) -> [Int?] {
        matrices.map { matrix in
            guard let first = matrix.curve.points.first, let last = matrix.curve.points.last else { return nil }
            let share = Self.effectiveRank(matrix.curve.squaredSpectrum) * Double(first.rank) / Double(first.parameters)
            let rank = scale * share.squareRoot()
            if rank > Double(last.rank) { return nil }
            return (matrix.curve.points.last { Double($0.rank) <= rank } ?? first).rank
        }
    }

    /// exp(H(σ²/Σσ²)): 1 for one direction, n for n equal ones.
    static func effectiveRank(_ squares: [Double]) -> Double {
        let total = squares.reduce(0, +)
        guard total > 0 else { return 1 }
        return exp(-squares.reduce(0) { $1 > 0 ? $0 + $1 / total * log($1 / total) : $0 })
    }

    /// Removes from each matrix a share ∝ 1/log L of its kind's, L its loss at uniform ranks.
    ///
    /// The paper's logarithm is of the loss itself, which may be below 1; here the losses of a kind are scaled so that
    /// the smallest is e.
    private func removedByLoss(share: Double, _ parameters: Int) -> [Int?] {
        let dense = matrices.reduce(0) { $0 + $1.curve.denseParameters }
        let uniform = uniformRanks(keep: Double(parameters) / Double(max(dense, 1)))
        let losses = zip(matrices, uniform).map { matrix, rank in
            matrix.curve.points.first { $0.rank == rank }?.loss.squareRoot() ?? 0
        }
        var scales = [Double](repeating: 1, count: matrices.count)
        for (_, members) in Dictionary(grouping: matrices.indices, by: { matrices[$0].kind }) {
            let least = members.map { losses[$0] }.filter { $0 > 0 }.min() ?? 1
            let inverse = members.map { 1 / (1 + log(max(losses[$0], least) / least)) }
            let mean = inverse.reduce(0, +) / Double(members.count)
            for (member, value) in zip(members, inverse) { scales[member] = value / mean }
        }
        return zip(matrices, scales).map { matrix, scale in
            Self.rank(of: matrix.curve, within: (1 - share * scale) * Double(matrix.curve.denseParameters))
        }
    }
}
