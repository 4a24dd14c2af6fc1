import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import TuckerCompression

@Suite struct TuckerDecompositionTests {
    private func stack(_ members: Int, _ heads: Int, _ rows: Int, _ columns: Int) -> TuckerTensor {
        TuckerTensor(
            members: members, heads: heads, rows: rows,
            elements: TuckerOracle.random(members * heads * rows, columns, seed: 3))
    }

    private func error(_ tensor: TuckerTensor, _ result: TuckerDecomposition.Result) -> Double {
        sumOfSquares(MatrixOperand(tensor.elements)) - sumOfSquares(MatrixOperand(result.core.elements))
    }

    private static let cases = [
        ((3, 1, 20, 30), (2, 7, 9)), ((3, 1, 20, 30), (3, 7, 9)), ((4, 3, 8, 25), (2, 5, 11)),
        ((5, 1, 9, 40), (5, 9, 12)),
        ((2, 1, 50, 4), (2, 6, 3)), ((1, 4, 6, 30), (1, 3, 10)),
    ]

    @Test(arguments: cases)
    func sweepsNeverLoseAndEndBelowTheSequentialForm(shape: (Int, Int, Int, Int), ranks: (Int, Int, Int)) throws {
        let tensor = stack(shape.0, shape.1, shape.2, shape.3)
        let wanted = TuckerRanks(members: ranks.0, rows: ranks.1, columns: ranks.2)
        let hooi = try TuckerDecomposition(algorithm: .hooi, sweeps: 12, tolerance: 0).decompose(tensor, wanted)
        let sequential = try TuckerDecomposition(algorithm: .sequential).decompose(tensor, wanted)
        let plain = try TuckerDecomposition(algorithm: .hosvd).decompose(tensor, wanted)
        #expect(zip(hooi.captured, hooi.captured.dropFirst()).allSatisfy { $0 <= $1 })
        let least = error(tensor, hooi)
        #expect(least <= error(tensor, sequential) * (1 + 1e-6))
        // Three modes: both are within √3 of the best, which is not above what HOOI reached.
        #expect(error(tensor, sequential) <= 3 * least && error(tensor, plain) <= 3 * least)
    }

    @Test(arguments: cases)
    func factorsAreOrthonormalAndTheCoreIsTheProjection(
        shape: (Int, Int, Int, Int), ranks: (Int, Int, Int)
    ) throws {
        let tensor = stack(shape.0, shape.1, shape.2, shape.3)
        let wanted = TuckerRanks(members: ranks.0, rows: ranks.1, columns: ranks.2)
        let result = try TuckerDecomposition().decompose(tensor, wanted)
        var core = tensor
        for (mode, factor) in result.factors {
            let gram = Matrix64(factor).transposedProduct(Matrix64(factor))
            for i in 0..<gram.rows {
                for j in 0..<gram.columns { #expect(abs(gram[i, j] - (i == j ? 1 : 0)) < 1e-5) }
            }
            core = core.contracted(mode, by: factor)
        }
        let difference = sumOfSquaredDifferences(MatrixOperand(core.elements), MatrixOperand(result.core.elements))
        #expect(difference < 1e-9 * sumOfSquares(MatrixOperand(core.elements)))
    }

    /// Contractions against the sums they stand for.
    @Test func contractionsSumOverTheirAxis() {
        let tensor = stack(2, 3, 4, 5)
        func value(_ k: Int, _ h: Int, _ i: Int, _ j: Int) -> Double { Double(tensor.elements[(k * 3 + h) * 4 + i, j]) }
        for mode in TuckerMode.allCases {
            let u = TuckerOracle.random(tensor.size(of: mode), 2, seed: 9)
            let found = tensor.contracted(mode, by: u)
            for k in 0..<found.members {
                for h in 0..<3 {
                    for i in 0..<found.rows {
                        for j in 0..<found.columns {
                            let expected = (0..<tensor.size(of: mode)).reduce(0.0) { sum, s in
                                switch mode {
                                case .members: sum + value(s, h, i, j) * Double(u[s, k])
                                case .rows: sum + value(k, h, s, j) * Double(u[s, i])
                                case .columns: sum + value(k, h, i, s) * Double(u[s, j])
                                }
                            }
                            let place = (k * 3 + h) * found.rows + i
                            #expect(abs(Double(found.elements[place, j]) - expected) < 1e-5)
                        }
                    }
                }
            }
        }
    }

    /// The table of sums against the HOSVD of the ranks themselves.
    @Test(arguments: [(2, 5, 7), (3, 6, 4), (1, 1, 1), (3, 12, 15)])
    func theSpectrumKnowsWhatRanksLose(ranks: (Int, Int, Int)) throws {
        let tensor = stack(3, 2, 12, 15)
        let layout = TuckerLayout(kind: .heads, heads: 2, rows: 12, columns: 15, transposed: [false, false, false])
        let spectrum = try TuckerSpectrum(tensor, layout, route: .automatic)
        let wanted = TuckerRanks(members: ranks.0, rows: ranks.1, columns: ranks.2)
        let result = try TuckerDecomposition(algorithm: .hosvd).decompose(tensor, wanted)
        #expect(abs(spectrum.lost(wanted) - error(tensor, result)) < 1e-5 * spectrum.total)
        #expect(abs(spectrum.total - sumOfSquares(MatrixOperand(tensor.elements))) < 1e-9 * spectrum.total)
    }

    @Test(arguments: [0.01, 0.2, 0.6])
    func ranksForALossAreWithinIt(share: Double) throws {
        let tensor = stack(3, 1, 12, 15)
        let layout = TuckerLayout(kind: .stack, heads: 1, rows: 12, columns: 15, transposed: [false, false, false])
        let spectrum = try TuckerSpectrum(tensor, layout, route: .automatic)
        let ranks = spectrum.ranks(losing: share * spectrum.total)
        #expect(spectrum.lost(ranks) <= share * spectrum.total)
        // Nothing cheaper does by lowering one rank alone.
        for mode in TuckerMode.allCases where ranks[mode] > 1 && ranks[mode] < layout.size(of: mode) {
            var lower = ranks
            lower[mode] -= 1
            #expect(spectrum.lost(lower) > share * spectrum.total)
        }
    }

    @Test(arguments: [1, 2, 5])
    func threadsDoNotChangeABit(count: Int) throws {
        let tensor = stack(3, 2, 33, 47)
        let wanted = TuckerRanks(members: 2, rows: 9, columns: 20)
        let expected = try TuckerDecomposition().decompose(tensor, wanted).core.elements
        let before = Threads.count
        Threads.count = count
        defer { Threads.count = before }
        #expect(try TuckerDecomposition().decompose(tensor, wanted).core.elements == expected)
    }
}
