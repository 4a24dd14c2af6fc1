import MatrixCore
import Testing

@testable import TensorTrainCompression

@Suite struct BondSpectraTests {
    static let modes = TrainModes(outputs: [4, 2, 3], inputs: [3, 4, 3])

    /// All ranks that the modes allow.
    static let everyRank: [[Int]] = (1...modes.bondLimits[0]).flatMap { first in
        (1...modes.bondLimits[1]).map { [first, $0] }
    }.filter { modes.objection(toRanks: $0) == nil }

    @Test(arguments: [40, 90, 200, 300, 500])
    func ranksWithinABudgetAreNearTheBest(budget: Int) throws {
        let spectra = try BondSpectra(MatrixOperand(Oracle.weight(24, 36)), modes: Self.modes)
        let ranks = spectra.ranks(within: budget)
        #expect(Self.modes.parameters(ranks: ranks) <= budget)
        let best = Self.everyRank.filter { Self.modes.parameters(ranks: $0) <= budget }.map(spectra.loss).min() ?? 0
        #expect(spectra.loss(ranks) <= best + 0.02 * spectra.squaredNorm)
        #expect(spectra.loss(ranks) <= spectra.loss(Self.modes.ranks(within: budget)) * 1.001)
    }

    @Test(arguments: [0.5, 0.2, 0.05, 0.01, 0])
    func ranksLeavingAShareAreNearTheSmallest(share: Double) throws {
        let spectra = try BondSpectra(MatrixOperand(Oracle.weight(24, 36)), modes: Self.modes)
        let allowed = share * spectra.squaredNorm
        let ranks = spectra.ranks(leaving: allowed)
        #expect(spectra.loss(ranks) <= allowed)
        let parameters = Self.modes.parameters(ranks: ranks)
        let best = Self.everyRank.filter { spectra.loss($0) <= allowed }.map(Self.modes.parameters).min() ?? 0
        #expect(Double(parameters) <= 1.1 * Double(best))
    }

    @Test func degenerateTensorsHaveSmallRanks() throws {
        let zero = try BondSpectra(MatrixOperand(Matrix(rows: 24, columns: 36)), modes: Self.modes)
        #expect(zero.ranks(leaving: 0) == [1, 1])
        let single = try BondSpectra(
            MatrixOperand(Oracle.weight(24, 36)), modes: TrainModes(outputs: [24], inputs: [36]))
        #expect(single.ranks(within: 10) == [] && single.ranks(leaving: 0) == [])
    }
}
