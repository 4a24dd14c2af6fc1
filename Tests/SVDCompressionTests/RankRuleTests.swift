import CompressionCore
import Testing

@testable import SVDCompression

@Suite struct RankRuleTests {
    @Test(arguments: [(64, 172, 0.9, 41), (64, 64, 0.8, 25), (32, 64, 0.6, 12), (4096, 11008, 0.4, 1194), (8, 8, 0.01, 1)])
    func keepIsTheFloorFormula(m: Int, n: Int, keep: Double, rank: Int) {
        #expect(RankRule(rows: m, columns: n).rank(for: .keep(keep)) == rank)
    }

    @Test func sizesRoundDownToTheMultipleAndAccuraciesUp() {
        let rule = RankRule(rows: 64, columns: 64, multiple: 8)
        #expect(rule.rank(for: .keep(0.8)) == 24)
        #expect(rule.rank(for: .rank(5)) == 5)
        #expect(rule.rank(for: .error(0.5), spectrum: [2, 1, 1, 1, 1]) == 8)
    }

    @Test func energyAndErrorTakeTheSmallestRankThatMeetsThem() {
        let rule = RankRule(rows: 9, columns: 9)
        let spectrum = [3.0, 2, 1, 1, 1]  // squares 9 4 1 1 1, sum 16
        #expect(rule.rank(for: .energy(9.0 / 16), spectrum: spectrum) == 1)
        #expect(rule.rank(for: .energy(0.6), spectrum: spectrum) == 2)
        #expect(rule.rank(for: .energy(1), spectrum: spectrum) == 5)
        #expect(rule.rank(for: .error(0.25), spectrum: spectrum) == 4)
        #expect(rule.rank(for: .error(0.5), spectrum: [0, 0]) == 1)
    }
}
