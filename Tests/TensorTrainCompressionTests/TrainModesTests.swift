import Testing

@testable import TensorTrainCompression

@Suite struct TrainModesTests {
    @Test(arguments: [
        (384, 384, 2), (1536, 384, 2), (11008, 4096, 2), (4096, 11008, 3), (64, 172, 3), (257, 256, 2), (257, 263, 2),
        (1, 36, 2), (105, 35, 3), (4096, 4096, 4), (7, 7, 2), (2, 2, 2),
    ])
    func balancedModesMultiplyToTheSize(m: Int, n: Int, cores: Int) throws {
        let modes = try #require(TrainModes.balanced(outFeatures: m, inFeatures: n, cores: cores))
        #expect(modes.outFeatures == m && modes.inFeatures == n && modes.order == cores)
        #expect(modes.sizes.allSatisfy { $0 > 1 })
    }

    @Test func balancedModesAreEven() throws {
        let square = try #require(TrainModes.balanced(outFeatures: 384, inFeatures: 384, cores: 2))
        #expect(square == TrainModes(outputs: [24, 16], inputs: [16, 24]))
        let wide = try #require(TrainModes.balanced(outFeatures: 4096, inFeatures: 4096, cores: 3))
        #expect(wide == TrainModes(outputs: [16, 16, 16], inputs: [16, 16, 16]))
        // A prime side leaves two equal factors only in this way.
        let prime = try #require(TrainModes.balanced(outFeatures: 257, inFeatures: 256, cores: 2))
        #expect(prime.sizes.sorted() == [256, 257])
    }

    @Test func tooManyCoresAreRefused() {
        #expect(TrainModes.balanced(outFeatures: 8, inFeatures: 4, cores: 6) == nil)
        #expect(TrainModes.balanced(outFeatures: 1, inFeatures: 13, cores: 2) == nil)
        #expect(TrainModes.split(outFeatures: 13, inFeatures: 16, modes: 2) == nil)
        #expect(TrainModes(checking: [1 << 20, 2], [2, 2]) == nil)
        #expect(TrainModes(checking: [2], [2, 2]) == nil)
    }

    @Test func theSplitLayoutHasInputsFirst() {
        let modes = TrainModes(splitOutputs: [4, 2], inputs: [3, 5])
        #expect(modes.outputs == [1, 1, 4, 2] && modes.inputs == [3, 5, 1, 1])
        #expect(modes.bondLimits == [3, 8, 2])
    }

    @Test func ranksAboveTheirBondAreNamed() {
        let modes = TrainModes(outputs: [2, 2, 2], inputs: [3, 3, 3])
        #expect(modes.bondLimits == [6, 6])
        #expect(modes.objection(toRanks: [6, 6]) == nil)
        #expect(modes.objection(toRanks: [7, 6])?.contains("bond 1") == true)
        #expect(modes.objection(toRanks: [1, 7])?.contains("bond 2") == true)
        #expect(modes.objection(toRanks: [6])?.contains("2 bonds") == true)
    }

    /// The budget is kept, and the next rank would not fit.
    @Test(arguments: [
        TrainModes(outputs: [24, 16], inputs: [16, 24]), TrainModes(outputs: [8, 8, 6], inputs: [6, 8, 8]),
        TrainModes(splitOutputs: [24, 16], inputs: [16, 24]), TrainModes(outputs: [7, 5], inputs: [3, 11]),
    ])
    func ranksFillTheirBudget(modes: TrainModes) {
        let dense = modes.outFeatures * modes.inFeatures
        for percent in [1, 5, 20, 50, 80, 100, 300] {
            let budget = dense * percent / 100
            let ranks = modes.ranks(within: budget)
            #expect(modes.objection(toRanks: ranks) == nil)
            guard ranks.contains(where: { $0 > 1 }) else { continue }
            #expect(modes.parameters(ranks: ranks) <= budget)
            let more = modes.ranks(cappedAt: (ranks.max() ?? 0) + 1)
            #expect(modes.parameters(ranks: more) > budget || more == ranks)
        }
        #expect(modes.ranks(within: 0) == modes.ranks(cappedAt: 1))
        let multiple = modes.ranks(within: dense / 2, multiple: 4)
        #expect(zip(multiple, modes.bondLimits).allSatisfy { $0 % 4 == 0 || $0 == $1 })
    }
}
