import LinearAlgebra
import Testing

@Suite("Effective rank")
struct EffectiveRankTests {
    @Test(
        "is the exponential of the entropy of the energy",
        arguments: [
            ([], 0), ([0, 0], 0), ([5], 1), ([2, 0, 0], 1), ([1, 1, 1, 1], 4), ([3e-200, 3e-200], 2),
            ([1e200, 1e200], 2),
            // exp(−Σ p ln p) for p = 9/25, 16/25, by Python's math.
            ([4, 3], 1.9220997241070779),
        ] as [([Double], Double)])
    func measures(spectrum: [Double], expected: Double) {
        #expect(abs(effectiveRank(of: spectrum) - expected) <= 1e-14 * max(1, expected))
    }

    @Test(
        "the rank that keeps a share is the smallest one",
        arguments: [
            ([], 0.9, 0), ([0, 0], 0.9, 0), ([1, 1, 1, 1], 0.5, 2), ([1, 1, 1, 1], 0.51, 3), ([1, 1, 1, 1], 1, 4),
            ([3, 1], 0.9, 1), ([3, 1], 0.91, 2), ([2, 0, 0], 1, 1), ([1, 1], 0, 0),
        ] as [([Double], Double, Int)])
    func keeps(spectrum: [Double], share: Double, expected: Int) {
        #expect(rankKeeping(share, of: spectrum) == expected)
    }
}
