import CompressionCore
import Foundation
import Planning
import Testing

/// A search over ranks, with measurements whose best ranks are known.
struct RankSearchTests {
    private static func matrix(_ decay: Double, kind: String) -> RankAllocation.Matrix {
        let squares = (0..<24).map { pow(Double($0 + 1), -2 * decay) }
        let points = (1..<12).map {
            LossCurve.Point(rank: $0, parameters: 48 * $0, loss: squares[$0...].reduce(0, +))
        }
        let curve = LossCurve(points: points, denseParameters: 576, squaredSpectrum: squares)
        return RankAllocation.Matrix(curve: curve, kind: kind)
    }

    private let matrices = [
        matrix(0.4, kind: "a"), matrix(0.9, kind: "b"), matrix(0.3, kind: "a"), matrix(0.6, kind: "b"),
    ]
    private let budget = 48 * 22

    /// What water filling would add up if it knew that the second matrix counts thirty times as much.
    private func truth(_ ranks: [Int?]) -> Double {
        zip(zip(matrices, [1, 30, 1, 1]), ranks).reduce(0) { sum, next in
            let curve = next.0.0.curve
            let loss = curve.points.first { $0.rank == next.1 }?.loss ?? 0
            return sum + Double(next.0.1) * loss / curve.total
        }
    }

    @Test func ranksGoWhereTheMeasurementWantsThem() throws {
        let start = try #require(RankAllocation(matrices, rule: .greedy).ranks(within: budget))
        var measured: [[Int?]] = []
        let found = try #require(
            RankSearch(matrices, within: budget).run(evaluations: 60) { ranks in
                measured.append(ranks)
                return [truth(ranks)]
            })
        #expect(measured.first == start && found.first == truth(start))
        #expect(found.best == measured.map(truth).min() && found.best == truth(found.ranks))
        #expect(measured.count <= 60 && Set(measured).count == measured.count)
        #expect(found.best < 0.8 * found.first)
        let used = RankAllocation(matrices, rule: .greedy).parameters(at: found.ranks)
        #expect(used <= budget)
    }

    @Test func theNumberOfMeasurementsIsNotExceeded() throws {
        for evaluations in [1, 2, 7] {
            var count = 0
            let found = RankSearch(matrices, within: budget).run(evaluations: evaluations) {
                count += 1
                return [truth($0)]
            }
            #expect(count <= evaluations && (count > 1 || evaluations == 1))
            #expect(found.map { $0.best <= $0.first } == true)
        }
    }

    /// What is better in one sample and as much worse in another is chance.
    @Test func gainsWithinTheNoiseAreNotTaken() throws {
        func samples(_ ranks: [Int?], noise: Double) -> [Double] {
            let size = noise * sin(Double(ranks.reduce(0) { 31 * $0 + ($1 ?? 0) }))
            return (0..<8).map { truth(ranks) + ($0 % 2 == 0 ? size : -size) }
        }
        let start = try #require(RankAllocation(matrices, rule: .greedy).ranks(within: budget))
        let search = RankSearch(matrices, within: budget)
        let clear = try #require(search.run(evaluations: 40) { samples($0, noise: 1e-6) })
        let noisy = try #require(search.run(evaluations: 40) { samples($0, noise: 1e3) })
        #expect(clear.best < 0.8 * clear.first)
        #expect(noisy.ranks == start && noisy.best == noisy.first)
    }

    /// What is out of the question is passed over; without a start there is no result.
    @Test func ranksThatDoNotFitAreLeftOut() throws {
        let start = try #require(RankAllocation(matrices, rule: .greedy).ranks(within: budget))
        let found = RankSearch(matrices, within: budget).run(evaluations: 30) { $0 == start ? [truth($0)] : nil }
        #expect(found == RankSearch.Result(ranks: start, first: truth(start), best: truth(start)))
        #expect(RankSearch(matrices, within: budget).run(evaluations: 30) { _ in nil } == nil)
        #expect(RankSearch(matrices, within: 5).run(evaluations: 30) { [truth($0)] } == nil)
    }
}
