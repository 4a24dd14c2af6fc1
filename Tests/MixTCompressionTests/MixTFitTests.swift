import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import MixTCompression

@Suite struct MixTFitTests {
    private func gram(_ size: Int, samples: Int) throws -> Metric {
        let x: Matrix64 = CounterRandom(seed: 6).normalMatrix(rows: size, columns: samples)
        var moment = Matrix64(rows: size, columns: size)
        multiplyByTranspose(MatrixOperand(x), into: moment.mutableView())
        return .gram(try GramMetric(moment: moment))
    }

    @Test(arguments: [(24, 16, 2, 2), (24, 16, 2, 3), (40, 24, 2, 3), (27, 54, 3, 2), (16, 16, 2, 4)])
    func weightMatchingEqualsLeastSquares(m: Int, n: Int, base: Int, branches: Int) throws {
        let form = try #require(MixTForm(rows: m, columns: n, base: base, branches: branches))
        let weight: Matrix64 = CounterRandom(seed: 2).normalMatrix(rows: m, columns: n)
        let objective = Objective(target: MatrixOperand(weight))
        let matched = MixTWeightMatching(map: MixTMap(form: form)).branches(of: objective.target)
        let least = MixTOracle.leastLoss(form, objective)
        #expect(abs(MixTOracle.loss(form, objective, matched) - least) < 1e-10 * least)
    }

    @Test func weightMatchingReproducesAWeightOfTheForm() throws {
        let form = try #require(MixTForm(rows: 48, columns: 32, base: 2, branches: 4))
        let weight = MixTOracle.weight(form, MixTOracle.randomBranches(form))
        let objective = Objective(target: MatrixOperand(weight))
        let matched = MixTWeightMatching(map: MixTMap(form: form)).branches(of: objective.target)
        #expect(MixTOracle.loss(form, objective, matched) < 1e-24 * sumOfSquares(objective.target))
    }

    /// Every metric on either side, with and without padding; the loss falls at every step and ends at the optimum.
    @Test(arguments: [(16, 12, 2), (13, 10, 2), (9, 11, 3)], 0..<5)
    func conjugateGradientsReachTheOptimum(shape: (m: Int, n: Int, branches: Int), metric: Int) throws {
        let form = try #require(MixTForm(rows: shape.m, columns: shape.n, base: 2, branches: shape.branches))
        let weight: Matrix64 = CounterRandom(seed: 2).normalMatrix(rows: shape.m, columns: shape.n)
        var objective = Objective(target: MatrixOperand(weight))
        switch metric {
        case 0: objective.inputs = .diagonal((0..<shape.n).map { 0.5 + Double($0) / 8 })
        case 1: objective.inputs = try gram(shape.n, samples: 40)
        case 2: objective.inputs = try gram(shape.n, samples: 5)
        case 3:
            objective.inputs = try gram(shape.n, samples: 40)
            objective.outputs = try gram(shape.m, samples: 40)
        default: break
        }
        var fit = MixTFit(map: MixTMap(form: form), objective: objective)
        fit.mostSteps = 400
        fit.gradientTolerance = 1e-13
        fit.leastGain = 0
        let result = fit.improve(MixTWeightMatching(map: MixTMap(form: form)).branches(of: objective.target))
        let least = MixTOracle.leastLoss(form, objective)
        let found = MixTOracle.loss(form, objective, result.branches)
        // Five samples leave the loss nothing but rounding.
        #expect(found - least <= 1e-6 * least + 1e-12 * result.losses[0])
        #expect(zip(result.losses, result.losses.dropFirst()).allSatisfy { $1 <= $0 })
        #expect(abs(found - (result.losses.last ?? 0)) <= 1e-6 * result.losses[0])
    }

    @Test func resultsDoNotDependOnTheThreads() throws {
        let form = try #require(MixTForm(rows: 30, columns: 45, base: 2, branches: 3))
        let weight: Matrix64 = CounterRandom(seed: 2).normalMatrix(rows: 30, columns: 45)
        let objective = Objective(target: MatrixOperand(weight), inputs: try gram(45, samples: 60))
        let before = Threads.count
        defer { Threads.count = before }
        let results = [1, 2, 5].map { threads in
            Threads.count = threads
            return MixTFit(map: MixTMap(form: form), objective: objective)
                .improve(MixTWeightMatching(map: MixTMap(form: form)).branches(of: objective.target)).branches
        }
        #expect(results[0] == results[1] && results[0] == results[2])
    }
}
