import CompressionCore
import Foundation
import MatrixCore
import Planning
import Testing

@Suite struct RankAllocationTests {
    /// A curve of factors or of pivot storage over a spectrum.
    private func curve(_ m: Int, _ n: Int, pivot: Bool, decay: Double) -> LossCurve {
        let squares = (0..<min(m, n)).map { pow(Double($0 + 1), -2 * decay) }
        var points: [LossCurve.Point] = []
        for rank in 1..<min(m, n) {
            let numbers = pivot ? rank * (m + n - rank) : rank * (m + n)
            guard numbers < m * n else { break }
            points.append(.init(rank: rank, parameters: numbers, loss: squares[rank...].reduce(0, +)))
        }
        return LossCurve(points: points, denseParameters: m * n, squaredSpectrum: squares)
    }

    private func matrices(pivot: Bool) -> [RankAllocation.Matrix] {
        [(12, 9, 0.3, "a", 1.0), (7, 15, 1, "b", 4), (10, 10, 0.7, "a", 0.2), (8, 5, 0.1, "b", 2)].map {
            RankAllocation.Matrix(curve: curve($0.0, $0.1, pivot: pivot, decay: $0.2), kind: $0.3, sensitivity: $0.4)
        }
    }

    @Test(arguments: AllocationRule.allCases, [false, true])
    func everyRuleEndsCloseBelowItsBudget(rule: AllocationRule, pivot: Bool) throws {
        let big = [(64, 64, 0.4), (64, 172, 0.8), (32, 64, 0.2), (172, 64, 0.5)].map {
            RankAllocation.Matrix(curve: curve($0.0, $0.1, pivot: pivot, decay: $0.2), kind: "k")
        }
        let dense = big.reduce(0) { $0 + $1.curve.denseParameters }
        for keep in [0.1, 0.5, 0.8, 0.95] {
            let budget = Int(keep * Double(dense))
            let allocation = RankAllocation(big, rule: rule)
            let ranks = try #require(allocation.ranks(within: budget))
            let used = allocation.parameters(at: ranks)
            #expect(used <= budget)
            // What is left is less than the next choice of any matrix costs.
            for (matrix, rank) in zip(big, ranks) {
                guard let rank else { continue }
                let larger = matrix.curve.points.filter { $0.rank > rank }.map(\.parameters)
                let sizes = larger + [matrix.curve.denseParameters]
                let now = matrix.curve.points.first { $0.rank == rank }?.parameters ?? 0
                #expect(try #require(sizes.first) - now > budget - used, "\(rule) \(keep): \(used) of \(budget)")
            }
        }
    }

    /// No division at all can be better than the Lagrangian bound: for any price of a parameter, every matrix at its
    /// own best choice, less the price of the budget.
    @Test(arguments: [false, true], [0.2, 0.5, 0.8])
    func greedyReachesTheLagrangianBound(pivot: Bool, keep: Double) throws {
        let shapes = [(64, 64), (64, 172), (32, 64), (172, 64)]
        let matrices = (0..<40).map { index in
            let (m, n) = shapes[index % 4]
            return RankAllocation.Matrix(
                curve: curve(m, n, pivot: pivot, decay: 0.2 + 0.02 * Double(index)), kind: "k",
                sensitivity: 1 + Double(index * 7 % 11))
        }
        let budget = Int(keep * Double(matrices.reduce(0) { $0 + $1.curve.denseParameters }))
        let allocation = RankAllocation(matrices, rule: .greedy)
        let found = allocation.loss(at: try #require(allocation.ranks(within: budget)))
        var bound = 0.0
        for exponent in -400...0 {
            let price = exp2(Double(exponent) / 12)
            let least = matrices.reduce(0.0) { sum, matrix in
                let scale = matrix.sensitivity / matrix.curve.total
                return sum + matrix.curve.points.reduce(price * Double(matrix.curve.denseParameters)) {
                    min($0, scale * $1.loss + price * Double($1.parameters))
                }
            }
            bound = max(bound, least - price * Double(budget))
        }
        #expect(found >= bound && found <= 1.03 * bound, "\(found) against \(bound)")
    }

    @Test(arguments: [false, true], [0.3, 0.5, 0.7, 0.9])
    func greedyIsNeverWorseThanUniform(pivot: Bool, keep: Double) throws {
        let matrices = matrices(pivot: pivot)
        let budget = Int(keep * Double(matrices.reduce(0) { $0 + $1.curve.denseParameters }))
        let greedy = RankAllocation(matrices, rule: .greedy), uniform = RankAllocation(matrices, rule: .uniform)
        let best = try #require(greedy.ranks(within: budget)), even = try #require(uniform.ranks(within: budget))
        #expect(greedy.loss(at: best) <= greedy.loss(at: even))
    }

    @Test func sensitiveMatricesGetMore() throws {
        let same = curve(20, 20, pivot: true, decay: 0.5)
        let allocation = RankAllocation(
            [.init(curve: same, kind: "k", sensitivity: 10), .init(curve: same, kind: "k", sensitivity: 1)],
            rule: .greedy)
        let ranks = try #require(allocation.ranks(within: 400))
        #expect(try #require(ranks[1]) < ranks[0] ?? 20)
    }

    /// Flat spectra get more rank: four equal matrices but for their decay, k ∝ √R by the paper's formula.
    @Test func effectiveRanksDivideByTheirRoot() throws {
        let flat = curve(200, 200, pivot: false, decay: 0), steep = curve(200, 200, pivot: false, decay: 0.6)
        let allocation = RankAllocation(
            [.init(curve: flat, kind: "k"), .init(curve: steep, kind: "k")], rule: .effectiveRank)
        let ranks = try #require(allocation.ranks(within: 24_000))
        let entropy = steep.squaredSpectrum.reduce(0) { $0 - $1 / steep.total * log($1 / steep.total) }
        let expected = (200 / exp(entropy)).squareRoot()
        #expect(abs(Double(try #require(ranks[0])) / Double(try #require(ranks[1])) - expected) < 0.15 * expected)
    }

    @Test func aBudgetBelowTheSmallestRanksHasNoAnswer() {
        let allocation = RankAllocation(matrices(pivot: true), rule: .greedy)
        #expect(allocation.ranks(within: allocation.leastParameters - 1) == nil)
        #expect(allocation.ranks(within: allocation.leastParameters) != nil)
    }
}
