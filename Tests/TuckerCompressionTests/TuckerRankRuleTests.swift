import CompressionCore
import MatrixCore
import Testing

@testable import TuckerCompression

@Suite struct TuckerRankRuleTests {
    private func stack(_ members: Int, _ rows: Int, _ columns: Int) -> TuckerLayout {
        TuckerLayout(
            kind: members == 1 ? .matrix : .stack, heads: 1, rows: rows, columns: columns,
            transposed: Array(repeating: false, count: members))
    }

    /// r(m + n) + r² ≤ ρ·m·n, counted by hand for the first: 22·128 + 22² = 3300 > 3276.8 ≥ 21·128 + 21² = 3129.
    @Test(arguments: [
        (64, 64, 0.8, 21), (64, 172, 0.5, 21), (4096, 11008, 0.4, 1112), (8, 8, 0.01, 1), (10, 10, 0.21, 1),
    ])
    func keepOfAMatrixIsTheLargestRankThatFits(m: Int, n: Int, keep: Double, rank: Int) throws {
        let ranks = try #require(TuckerRankRule(layout: stack(1, m, n)).ranks(for: .keep(keep)))
        #expect(ranks.rows == rank && ranks.columns == rank)
        let limit = keep * Double(m * n)
        #expect(rank == 1 || Double(rank * (m + n + rank)) <= limit)
        #expect(Double((rank + 1) * (m + n + rank + 1)) > limit)
    }

    @Test func membersAreKeptUnlessTheFullFormIsAskedFor() throws {
        let layout = stack(5, 64, 64)
        #expect(TuckerRankRule(layout: layout).ranks(for: .keep(0.5))?.members == 5)
        let full = try #require(TuckerRankRule(layout: layout, form: .full).ranks(for: .keep(0.5)))
        #expect(full.members < 5)
    }

    /// Above every row and column the longer side is kept whole at moderate budgets: what the grid search on real
    /// layers found.
    @Test func theLongSideOfAStackIsKeptWholeAtModerateBudgets() throws {
        let up = try #require(TuckerRankRule(layout: stack(3, 352, 128)).ranks(for: .keep(0.8)))
        #expect(up.rows == 352 && up.columns < 128)
        let down = try #require(TuckerRankRule(layout: stack(3, 128, 352)).ranks(for: .keep(0.8)))
        #expect(down.columns == 352 && down.rows < 128)
    }

    @Test func aRankCapsEveryMode() {
        let rule = TuckerRankRule(layout: stack(4, 20, 30))
        #expect(rule.ranks(for: .rank(8)) == TuckerRanks(members: 4, rows: 8, columns: 8))
        #expect(rule.ranks(for: .rank(2)) == TuckerRanks(members: 2, rows: 2, columns: 2))
        #expect(rule.ranks(for: .rank(100)) == TuckerRanks(members: 4, rows: 20, columns: 30))
        #expect(rule.ranks(for: .energy(0.5)) == nil)
    }

    @Test func ranksAreMultiplesWhereTheyAreLargeEnough() throws {
        let ranks = try #require(TuckerRankRule(layout: stack(1, 64, 64), multiple: 8).ranks(for: .keep(0.8)))
        #expect(ranks.rows == 16 && ranks.columns == 16)
    }

    @Test func impossibleRequestsAreRefusedWithTheReason() throws {
        func member(_ rows: Int, _ columns: Int) -> GroupMember {
            GroupMember(module: "m", outFeatures: rows, inFeatures: columns, factorType: .float32)
        }
        // Rank 6 of the rows where the columns have 5.
        let unequal = try TuckerOracle.compressor(["tucker-ranks": "6,5"])
        #expect(throws: CompressionError.self) { _ = try unequal.size(of: [member(20, 30)], budget: .options) }
        // Above the length of a side.
        let high = try TuckerOracle.compressor(["tucker-ranks": "25,25"])
        #expect(throws: CompressionError.self) { _ = try high.size(of: [member(20, 30)], budget: .options) }
        // Members of other shapes.
        let layers = try TuckerOracle.compressor(["tucker-group": "layers"])
        #expect(throws: CompressionError.self) {
            _ = try layers.size(of: [member(20, 30), member(20, 31)], budget: .keep(0.5))
        }
        // No ranks where they are the target.
        #expect(throws: CompressionError.self) {
            _ = try TuckerOracle.compressor().size(of: [member(20, 30)], budget: .options)
        }
        // Three ranks, and a matrix beside the groups: it stays dense and says so.
        let heads = try TuckerOracle.compressor(["tucker-group": "heads", "tucker-ranks": "4,4,2"])
        let size = try #require(try heads.size(of: [member(20, 30)], budget: .options))
        #expect(size[0].keptDense?.contains("3 ranks are stated") == true)
    }

    @Test(arguments: [
        ["tucker-group": "pairs"], ["tucker-algorithm": "als"], ["tucker-ranks": "4"], ["tucker-ranks": "4,0"],
        ["tucker-ranks": "4,4,2"], ["tucker-sweeps": "0"], ["tucker-sweeps": "3", "tucker-algorithm": "hosvd"],
        ["share-layers": "2"], ["share-layers": "1", "tucker-group": "layers"], ["tucker-form": "full"],
    ])
    func optionsThatMakeNoSenseAreRefused(values: [String: String]) {
        #expect(throws: CompressionError.self) { _ = try TuckerOracle.compressor(values) }
    }
}
