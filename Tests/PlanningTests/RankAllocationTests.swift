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
                let sizes = matrix.curve.points.filter { $0.rank > rank }.map(\.parameters) + [matrix.curve.denseParameters]
                let now = matrix.curve.points.first { $0.rank == rank }?.parameters ?? 0
                #expect(try #require(sizes.first) - now > budget - used, "\(rule) \(keep): \(used) of \(budget)")
            }
        }
    }

    /// Every combination of ranks tried. These matrices are so small that one rank is a tenth of the budget; what a
    /// multiplier cannot reach is bounded by the optimum of a budget smaller by the largest step between hull points.
    @Test(arguments: [false, true])
    func greedyIsTheBestOfAllCombinations(pivot: Bool) throws {
        let matrices = Array(matrices(pivot: pivot).prefix(3))
        let allocation = RankAllocation(matrices, rule: .greedy)
        for budget in stride(from: 60, through: 300, by: 24) {
            guard let ranks = allocation.ranks(within: budget) else { continue }
            var best = Double.infinity, bound = Double.infinity
            let options: [[Int?]] = matrices.map { $0.curve.points.map { $0.rank as Int? } + [nil] }
            for a in options[0] {
                for b in options[1] {
                    for c in options[2] where allocation.parameters(at: [a, b, c]) <= budget {
                        let loss = allocation.loss(at: [a, b, c])
                        best = min(best, loss)
                        if allocation.parameters(at: [a, b, c]) <= budget - 40 { bound = min(bound, loss) }
                    }
                }
            }
            let found = allocation.loss(at: ranks)
            #expect(found >= best && found <= max(bound, best * 1.1), "\(budget): \(found) against \(best)")
        }
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
            [.init(curve: same, kind: "k", sensitivity: 10), .init(curve: same, kind: "k", sensitivity: 1)], rule: .greedy)
        let ranks = try #require(allocation.ranks(within: 400))
        #expect(try #require(ranks[1]) < ranks[0] ?? 20)
    }

    /// Flat spectra get more rank: four equal matrices but for their decay, k ∝ √R by the paper's formula.
    @Test func effectiveRanksDivideByTheirRoot() throws {
        let flat = curve(200, 200, pivot: false, decay: 0), steep = curve(200, 200, pivot: false, decay: 0.6)
        let allocation = RankAllocation([.init(curve: flat, kind: "k"), .init(curve: steep, kind: "k")], rule: .effectiveRank)
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
