import LinearAlgebra
import MatrixCore
import Testing

@testable import TensorTrainCompression

@Suite struct TensorTrainSVDTests {
    static let modes = [
        TrainModes(outputs: [6, 4], inputs: [4, 9]), TrainModes(outputs: [4, 2, 3], inputs: [3, 4, 3]),
        TrainModes(splitOutputs: [6, 4], inputs: [4, 9]), TrainModes(outputs: [2, 3, 2, 2], inputs: [2, 3, 3, 2]),
        TrainModes(outputs: [24, 1], inputs: [1, 36]), TrainModes(outputs: [24], inputs: [36]),
    ]

    @Test(arguments: modes)
    func wholeBondsReproduceTheWeight(modes: TrainModes) throws {
        let weight = Oracle.weight(24, 36)
        let (train, evidence) = try TensorTrainSVD().decompose(
            MatrixOperand(weight), modes: modes, keeping: .ranks(modes.bondLimits))
        #expect(Oracle.relativeDifference(train.reconstruct(), weight) < 1e-5)
        #expect(evidence.relativeError < 1e-5)
        #expect(train.ranks == [1] + modes.bondLimits + [1])
    }

    @Test(arguments: modes)
    func reconstructionIsTheProductOfTheCores(modes: TrainModes) {
        let train = Oracle.train(modes, ranks: modes.ranks(cappedAt: 3))
        let expected = Matrix(rows: 24, columns: 36) { Float(Oracle.element(train, $0, $1)) }
        #expect(Oracle.relativeDifference(train.reconstruct(), expected) < 1e-6)
        #expect(Oracle.relativeDifference(train.balanced().reconstruct(), expected) < 1e-6)
    }

    @Test(arguments: modes, [0.7, 0.3, 0.1, 0.01])
    func theErrorIsWithinItsBound(modes: TrainModes, bound: Double) throws {
        let weight = Oracle.weight(24, 36)
        let (train, evidence) = try TensorTrainSVD().decompose(
            MatrixOperand(weight), modes: modes, keeping: .error(bound))
        let error = Oracle.relativeDifference(train.reconstruct(), weight)
        #expect(error <= bound)
        #expect(abs(error - evidence.relativeError) < 1e-5)
    }

    /// √(d − 1) times the best: the tails of the unfoldings bound the error of any train of these ranks from below.
    @Test(arguments: modes.dropLast())
    func theErrorIsNearTheBestOfItsRanks(modes: TrainModes) throws {
        let weight = Oracle.weight(24, 36)
        let ranks = modes.ranks(cappedAt: 4)
        let (train, _) = try TensorTrainSVD().decompose(MatrixOperand(weight), modes: modes, keeping: .ranks(ranks))
        let tails = try ranks.enumerated().map { bond, rank in
            let spectrum = try SmallSVD(
                Matrix64(rows: modes.sizes[...bond].reduce(1, *), columns: modes.sizes[(bond + 1)...].reduce(1, *)) {
                    Double(Oracle.unfolding(weight, modes, bond: bond + 1)[$0, $1])
                }.view
            ).values
            return spectrum.dropFirst(rank).reduce(0) { $0 + $1 * $1 }
        }
        let norm = weight.elements.reduce(0.0) { $0 + Double($1) * Double($1) }
        let squares = Oracle.relativeDifference(train.reconstruct(), weight)
        #expect(squares * squares * norm <= tails.reduce(0, +) * (1 + 1e-5))
        #expect(squares * squares * norm >= (tails.max() ?? 0) * (1 - 1e-5))
    }

    /// Two cores: W = Σ A ⊗ B, whose best sum is the SVD of the rearranged matrix (Van Loan and Pitsianis).
    @Test func twoCoresAreTheBestKroneckerSum() throws {
        let modes = TrainModes(outputs: [6, 4], inputs: [4, 9])
        let weight = Oracle.weight(24, 36)
        // Row (i₁ j₁) of the rearrangement is block (i₁, j₁) of W, written out.
        let rearranged = Matrix64(rows: 24, columns: 36) { block, element in
            Double(weight[block / 4 * 4 + element / 9, block % 4 * 9 + element % 9])
        }
        let spectrum = try SmallSVD(rearranged.view).values
        let total = spectrum.reduce(0) { $0 + $1 * $1 }
        for rank in [1, 5, 12, 23] {
            let (train, _) = try TensorTrainSVD().decompose(
                MatrixOperand(weight), modes: modes, keeping: .ranks([rank]))
            let optimum = (spectrum.dropFirst(rank).reduce(0) { $0 + $1 * $1 } / total).squareRoot()
            let error = Oracle.relativeDifference(train.reconstruct(), weight)
            #expect(abs(error - optimum) < 1e-5)
        }
    }

    @Test func aZeroMatrixStaysZero() throws {
        let zero = Matrix(rows: 24, columns: 36)
        let (train, evidence) = try TensorTrainSVD().decompose(
            MatrixOperand(zero), modes: Self.modes[1], keeping: .error(0.1))
        #expect(train.ranks == [1, 1, 1, 1] && evidence.relativeError == 0 && train.reconstruct() == zero)
    }

    // MARK: - Rounding

    @Test(arguments: modes)
    func roundingFindsTheRanksOfARedundantTrain(modes: TrainModes) throws {
        let train = Oracle.train(modes, ranks: modes.ranks(cappedAt: 2))
        // The same matrix as a sum of halves: every rank twice as large as it need be.
        let doubled = TensorTrain(
            modes: modes,
            cores: train.cores.enumerated().map { index, core in
                let left = index == 0 ? 1 : 2
                let right = index == modes.order - 1 ? 1 : 2
                let rank = train.ranks[index]
                let size = modes.sizes[index]
                return Matrix(rows: left * rank * size, columns: right * core.columns) { row, column in
                    let half = row / (rank * size)
                    let otherHalf = column / core.columns
                    guard index == 0 || index == modes.order - 1 || half == otherHalf else { return 0 }
                    return core[row % (rank * size), column % core.columns] * (index == 0 && modes.order > 1 ? 0.5 : 1)
                }
            })
        let weight = train.reconstruct()
        #expect(Oracle.relativeDifference(doubled.reconstruct(), weight) < 1e-5)
        let (rounded, evidence) = try doubled.rounded(.error(1e-4))
        #expect(rounded.ranks == train.ranks)
        #expect(Oracle.relativeDifference(rounded.reconstruct(), weight) < 1e-4 && evidence.relativeError < 1e-4)
    }

    @Test(arguments: modes, [0.6, 0.2])
    func roundingKeepsItsBound(modes: TrainModes, bound: Double) throws {
        let weight = Oracle.weight(24, 36)
        let (exact, _) = try TensorTrainSVD().decompose(MatrixOperand(weight), modes: modes, keeping: .error(0))
        let (rounded, evidence) = try exact.rounded(.error(bound))
        let error = Oracle.relativeDifference(rounded.reconstruct(), exact.reconstruct())
        #expect(error <= bound && abs(error - evidence.relativeError) < 1e-5)
        // Rounding an exact train is the decomposition itself.
        let (direct, _) = try TensorTrainSVD().decompose(MatrixOperand(weight), modes: modes, keeping: .error(bound))
        #expect(direct.ranks == rounded.ranks)
    }
}
