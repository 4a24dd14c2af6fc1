import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import TensorTrainCompression

@Suite struct TrainFitTests {
    private let weight = Oracle.weight(24, 36)

    /// Second moments of inputs with a few strong directions, from more or fewer samples than features.
    private func gram(_ size: Int, samples: Int, seed: UInt64 = 5) throws -> GramMetric {
        let noise: Matrix64 = CounterRandom(seed: seed).normalMatrix(rows: size, columns: samples)
        let strong: Matrix64 = CounterRandom(seed: seed + 1).normalMatrix(rows: size, columns: 1)
        let inputs = Matrix64(rows: size, columns: samples) {
            noise[$0, $1] * (1 + 3 * abs(strong[$0, 0])) + 2 * strong[$0, 0]
        }
        var moment = Matrix64(rows: size, columns: size)
        multiplyByTranspose(MatrixOperand(inputs), into: moment.mutableView())
        return try GramMetric(moment: moment)
    }

    private func objectives() throws -> [(String, Objective)] {
        let target = MatrixOperand(weight)
        let rows = (0..<24).map { 1 + Double($0 % 5) }
        let columns = (0..<36).map { 0.2 + Double($0 % 7) }
        return [
            ("inputs", Objective(target: target, inputs: .gram(try gram(36, samples: 100)))),
            ("few samples", Objective(target: target, inputs: .gram(try gram(36, samples: 20)))),
            ("outputs", Objective(target: target, outputs: .gram(try gram(24, samples: 50)))),
            (
                "both",
                Objective(
                    target: target, inputs: .gram(try gram(36, samples: 60)), outputs: .gram(try gram(24, samples: 60)))
            ),
            ("diagonal inputs", Objective(target: target, inputs: .diagonal(columns))),
            ("diagonal both", Objective(target: target, inputs: .diagonal(columns), outputs: .diagonal(rows))),
            ("mixed", Objective(target: target, inputs: .gram(try gram(36, samples: 60)), outputs: .diagonal(rows))),
        ]
    }

    private func error(_ train: TensorTrain, _ objective: Objective) -> Double {
        let found = train.reconstruct()
        let difference = Matrix64(rows: 24, columns: 36) { Double(weight[$0, $1]) - Double(found[$0, $1]) }
        return (objective.squaredNorm(of: MatrixOperand(difference)) / objective.squaredNorm(of: objective.target))
            .squareRoot()
    }

    static let modes = [
        TrainModes(outputs: [6, 4], inputs: [4, 9]), TrainModes(outputs: [4, 2, 3], inputs: [3, 4, 3]),
        TrainModes(splitOutputs: [6, 4], inputs: [4, 9]),
    ]

    /// Better than the decomposition that does not know the metric, at the error it says, and no small change of a core
    /// improves it much.
    @Test(arguments: modes)
    func theFitIsBetterThanItsStart(modes: TrainModes) throws {
        let ranks = modes.ranks(cappedAt: 5)
        let plain = try TensorTrainSVD().decompose(MatrixOperand(weight), modes: modes, keeping: .ranks(ranks)).train
        for (name, objective) in try objectives() {
            let result = try TrainFit(objective, modes: modes).run(ranks: ranks, from: plain, by: TensorTrainSVD())
            let found = error(result.train, objective)
            #expect(result.train.ranks == plain.ranks)
            #expect(found < error(plain, objective), "\(name)")
            #expect(result.relativeError <= result.firstError && result.passes > 0, "\(name)")
            #expect(abs(found - result.relativeError) < 1e-4, "\(name): \(found), \(result.relativeError)")
            for (index, core) in result.train.cores.enumerated() {
                let step: Matrix = CounterRandom(seed: 77, stream: UInt64(index)).normalMatrix(
                    rows: core.rows, columns: core.columns)
                let size = Float(
                    0.01 * (sumOfSquares(MatrixOperand(core)) / sumOfSquares(MatrixOperand(step))).squareRoot())
                for sign in [Float(1), -1] {
                    var cores = result.train.cores
                    cores[index] = Matrix(rows: core.rows, columns: core.columns) {
                        core[$0, $1] + sign * size * step[$0, $1]
                    }
                    #expect(
                        error(TensorTrain(modes: modes, cores: cores), objective) > 0.999 * found,
                        "\(name) core \(index)")
                }
            }
        }
    }

    /// Out m,1 and in 1,n is a matrix of low rank, whose optimum in any metrics is known: the tail of the spectrum of
    /// L_oᵀ T L_i.
    @Test func twoFactorsReachTheKnownOptimum() throws {
        let modes = TrainModes(outputs: [24, 1], inputs: [1, 36])
        let plain = try TensorTrainSVD().decompose(MatrixOperand(weight), modes: modes, keeping: .ranks([6])).train
        for (name, objective) in try objectives() {
            let right = objective.inputs.weighted(objective.target)
            let whitened = objective.outputs.weighted(right.transposed)
            let spectrum = try SmallSVD(Matrix64(rows: 36, columns: 24) { whitened[$0, $1] }.view).values
            let total = spectrum.reduce(0) { $0 + $1 * $1 }
            let optimum = (spectrum.dropFirst(6).reduce(0) { $0 + $1 * $1 } / total).squareRoot()
            let result = try TrainFit(objective, modes: modes).run(ranks: [6], from: plain, by: TensorTrainSVD())
            #expect(error(result.train, objective) < optimum * 1.002 + 1e-5, "\(name)")
        }
    }

    /// The direct solution of a core zeroes the gradient that conjugate gradients only lower.
    @Test(arguments: modes)
    func aDirectStepIsTheMinimumOfItsCore(modes: TrainModes) throws {
        let objective = Objective(target: MatrixOperand(weight), inputs: .gram(try gram(36, samples: 100)))
        let fit = try TrainFit(objective, modes: modes)
        let ranks = modes.ranks(cappedAt: 4)
        let start = try TensorTrainSVD().decompose(tensor: fit.target, modes: modes, keeping: .ranks(ranks)).train
        var cores = try start.rightOrthonormal().cores
        for core in 0..<modes.order {
            let before = TensorTrain(modes: modes, cores: cores)
            cores[core] = try CoreStep(fit, cores: cores, core: core).solve()
            let after = TensorTrain(modes: modes, cores: cores)
            #expect(squaredError(after, fit) <= squaredError(before, fit) * 1.00001)
            // A second step finds nothing to do.
            var again = cores
            again[core] = try CoreStep(fit, cores: cores, core: core).solve()
            #expect(squaredError(TensorTrain(modes: modes, cores: again), fit) > 0.9999 * squaredError(after, fit))
            if core < modes.order - 1 { try TensorTrain.orthonormaliseLeft(&cores, core) }
        }
    }

    private func squaredError(_ train: TensorTrain, _ fit: TrainFit) -> Double {
        let residual = fit.residual(train)
        return CoreStep.dot(residual, fit.weighed(residual))
    }

    @Test func budgetsHoldInTheMetric() throws {
        let member = GroupMember(module: "m", outFeatures: 24, inFeatures: 36, factorType: .float32)
        for (name, objective) in try objectives() {
            let task = CompressionTask(member: member, objective: objective)
            guard
                case .compressed(let bounded, _) = try TensorTrainCompressor().compress([task], budget: .error(0.4))[0],
                case .compressed(_, let evidence) = try TensorTrainCompressor().compress([task], budget: .energy(0.7))[
                    0]
            else {
                Issue.record("kept dense: \(name)")
                continue
            }
            #expect(objective.relativeError(of: bounded) <= 0.4, "\(name)")
            #expect(evidence.energyKept ?? 0 >= 0.7, "\(name)")
        }
    }

    @Test func aZeroTargetStaysZero() throws {
        let zero = Matrix(rows: 24, columns: 36)
        let objective = Objective(target: MatrixOperand(zero), inputs: .gram(try gram(36, samples: 100)))
        let member = GroupMember(module: "m", outFeatures: 24, inFeatures: 36, factorType: .float32)
        let outcome = try TensorTrainCompressor().compress(
            [CompressionTask(member: member, objective: objective)], budget: .rank(2))
        guard case .compressed(let compressed, _) = outcome[0] else {
            Issue.record("kept dense")
            return
        }
        #expect(compressed.reconstruct() == zero)
    }
}
