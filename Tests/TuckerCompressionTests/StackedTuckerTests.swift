import CompressionCore
import Foundation
import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import TuckerCompression

@Suite struct StackedTuckerTests {
    private let weights = TuckerOracle.related(count: 3, rows: 22, columns: 26, seed: 40)
    private let layers = ["tucker-group": "layers", "share-layers": "3"]

    /// Members of rank 8 in rows and 9 in columns, two of them equal: ranks that hold this reproduce every member.
    @Test(arguments: ["3,8,9", "2,8,9", "3,8,44", "3,40,9", "2,8,44", "2,40,9"], [false, true])
    func ranksThatHoldTheStackReproduceIt(ranks: String, isWeighted: Bool) throws {
        let gram = Metric.gram(try TuckerOracle.gram(44, samples: 90, seed: 49))
        let low = [UInt64(50), 51, 50].map { seed in
            let weight = TuckerOracle.random(8, 9, seed: seed)
            return Matrix(rows: 40, columns: 44) { i, j in weight[i % 8, j % 9] }
        }
        let tasks = TuckerOracle.tasks(low, inputs: isWeighted ? Array(repeating: gram, count: 3) : nil)
        let found = try TuckerOracle.operators(tasks, .options, layers.merging(["tucker-ranks": ranks]) { $1 })
        for (task, compressed) in zip(tasks, found) {
            #expect(task.objective.relativeError(of: compressed) < 1e-5)
        }
    }

    /// Whitening the inputs by the factor of their moment reaches what plain alternation in the metric ends at.
    @Test func sharedMomentsAreTheOptimumOfAlternation() throws {
        let gram = try TuckerOracle.gram(26, samples: 80, seed: 41)
        let tasks = TuckerOracle.tasks(weights, inputs: Array(repeating: .gram(gram), count: 3))
        let values = layers.merging(["tucker-ranks": "3,7,8", "tucker-sweeps": "60"]) { $1 }
        let found = try TuckerOracle.operators(tasks, .options, values)
        let optimum = try TuckerOracle.alternatingOptimum(
            weights, moment: gram.moment, ranks: (7, 8), sweeps: 150)
        let error = TuckerOracle.squaredError(tasks, found)
        #expect(error <= optimum * (1 + 1e-3))
        // Whitening the other way round, or not at all, is worse.
        let plain = try TuckerOracle.operators(TuckerOracle.tasks(weights), .options, values)
        #expect(error < TuckerOracle.squaredError(tasks, plain))
    }

    /// Members with moments of their own: no core in the span of the factors is better than the fitted one.
    @Test(arguments: ["3,7,8", "2,7,8", "3,22,8", "3,7,26", "2,22,8"])
    func coresFitTheMomentsOfTheirMembers(ranks: String) throws {
        let grams = try (0..<3).map { try TuckerOracle.gram(26, samples: 30 + 20 * $0, seed: 42 + UInt64($0)) }
        let tasks = TuckerOracle.tasks(weights, inputs: grams.map { .gram($0) })
        let found = try TuckerOracle.operators(tasks, .options, layers.merging(["tucker-ranks": ranks]) { $1 })
        let least = TuckerOracle.squaredError(tasks, found)
        for seed in 0..<6 {
            let moved = try found.enumerated().map { member, compressed in
                try compressed.perturbed(member: member, by: seed % 2 == 0 ? 1e-2 : -1e-2, seed: UInt64(seed / 2))
            }
            #expect(TuckerOracle.squaredError(tasks, moved) > least * (1 - 1e-6))
        }
    }

    @Test(arguments: [0.8, 0.5, 0.25], ["preserve", "full"])
    func aBudgetIsNeverExceededAndSizesAreExact(keep: Double, form: String) throws {
        for (members, rows, columns) in [(2, 64, 64), (5, 172, 64), (3, 64, 172), (8, 33, 47)] {
            let weights = (0..<members).map { TuckerOracle.random(rows, columns, seed: 60 + UInt64($0)) }
            let tasks = TuckerOracle.tasks(weights, type: .bfloat16)
            let values = ["tucker-group": "experts", "tucker-form": form, "tucker-algorithm": "st-hosvd"]
            let compressor = try TuckerOracle.compressor(values)
            let sizes = try #require(try compressor.size(of: tasks.map(\.member), budget: .keep(keep)))
            let found = try TuckerOracle.operators(tasks, .keep(keep), values)
            #expect(found[0].parameters <= Int(keep * Double(members * rows * columns)))
            // All cores but one of two are half of the numbers: the full form cannot spend more.
            let most = form == "full" ? min(keep, Double(members - 1) / Double(members)) : keep
            #expect(Double(found[0].parameters) > 0.93 * most * Double(members * rows * columns))
            for (size, compressed) in zip(sizes, found) {
                #expect(size.parameters == compressed.parameters && size.macs == compressed.macs)
                #expect(size.entry.entries.map(\.key) == compressed.entry.entries.map(\.key))
                #expect(size.tensors.map(\.name) == compressed.tensors.map(\.name))
                #expect(size.tensors.map(\.shape) == compressed.tensors.map(\.tensor.shape))
                #expect(size.tensors.map(\.scope) == compressed.tensors.map(\.scope))
            }
        }
    }

    @Test(arguments: [ElementType.float32, .bfloat16], [0.3, 0.6])
    func errorBoundsHoldForEveryMember(type: ElementType, bound: Double) throws {
        // A member ten times smaller than the others must keep the bound too.
        let scaled = weights.enumerated().map { index, weight in
            Matrix(rows: 22, columns: 26) { weight[$0, $1] * (index == 1 ? 0.1 : 1) }
        }
        let tasks = TuckerOracle.tasks(scaled, type: type)
        let outcomes = try TuckerOracle.compressor(layers).compress(tasks, budget: .error(bound))
        for (task, outcome) in zip(tasks, outcomes) {
            if case .compressed(let compressed, _) = outcome {
                #expect(task.objective.relativeError(of: compressed) <= bound)
            }
        }
    }

    @Test(arguments: ["hosvd", "st-hosvd", "hooi"])
    func energyOfTheGroupIsKept(algorithm: String) throws {
        let tasks = TuckerOracle.tasks(weights)
        let found = try TuckerOracle.operators(
            tasks, .energy(0.9), layers.merging(["tucker-algorithm": algorithm]) { $1 })
        #expect(TuckerOracle.squaredError(tasks, found) <= 0.1 * TuckerOracle.squaredNorm(tasks) * (1 + 1e-6))
        #expect(found[0].parameters < 3 * 22 * 26)
    }

    @Test func headsOfOneBlockShareTheirFactors() throws {
        let splits: [HeadSplit?] = [
            HeadSplit(count: 4, axis: .outputs), HeadSplit(count: 4, axis: .outputs),
            HeadSplit(count: 4, axis: .outputs), HeadSplit(count: 4, axis: .inputs),
        ]
        // Hidden 30, 4 heads of 6: the output projection stands transposed.
        let weights = (0..<4).map { TuckerOracle.random($0 == 3 ? 30 : 24, $0 == 3 ? 24 : 30, seed: 70 + UInt64($0)) }
        let tasks = TuckerOracle.tasks(weights, heads: splits)
        let values = ["tucker-group": "heads", "tucker-ranks": "12,5,3"]
        let found = try TuckerOracle.operators(tasks, .options, values)
        #expect(found[3].outFeatures == 30 && found[3].inFeatures == 24)
        #expect(
            found[0].tensors.map(\.tensor.shape) == [[12, 4, 5, 3], [30, 12], [6, 5], [4, 3]])
        #expect(
            found[0].tensors.map(\.name) == [
                "lowrank.tucker.m0.core", "lowrank.tucker.m0.factor.0", "lowrank.tucker.m0.factor.2",
                "lowrank.tucker.m0.factor.3",
            ])
        #expect(found[3].entry["axis"] == "inputs" && found[1].entry["slice"] == 1)
        // Every element from the stored tensors by the formula of the format.
        for (member, compressed) in found.enumerated() {
            #expect(maximum(compressed.reconstruct(), headsFormula(compressed, member)) < 1e-4)
        }
    }

    /// W'_k[(h, d), hidden] = Σ core[a, h, b, s] · hidden[a] · dim[b] · projection[s].
    private func headsFormula(_ compressed: TuckerOperator, _ member: Int) -> Matrix {
        let parts = compressed.tensors.map { $0.tensor.array(of: Float.self) }
        let shapes = compressed.tensors.map(\.tensor.shape)
        let (a, h, b, s) = (shapes[0][0], shapes[0][1], shapes[0][2], shapes[0][3])
        let hidden = shapes[1][0], dim = shapes[2][0]
        let stacked = Matrix(rows: h * dim, columns: hidden) { row, column in
            var sum = Float(0)
            for i in 0..<a {
                for j in 0..<b {
                    for k in 0..<s {
                        sum += parts[0][((i * h + row / dim) * b + j) * s + k] * parts[1][column * a + i]
                            * parts[2][row % dim * b + j] * parts[3][member * s + k]
                    }
                }
            }
            return sum
        }
        return member == 3 ? Matrix(stacked.view.transposed) : stacked
    }

    private func maximum(_ left: Matrix, _ right: Matrix) -> Float {
        zip(left.elements, right.elements).map { abs($0 - $1) }.max() ?? 0
    }

    @Test func aSingleProjectionOfGroupedAttentionIsAThreeWayForm() throws {
        let weight = TuckerOracle.random(24, 30, seed: 80)
        for axis in [HeadSplit.Axis.outputs, .inputs] {
            let shaped = axis == .outputs ? weight : Matrix(weight.view.transposed)
            let tasks = TuckerOracle.tasks([shaped], heads: [HeadSplit(count: 4, axis: axis)])
            let found = try TuckerOracle.operators(tasks, .options, ["tucker-group": "heads", "tucker-ranks": "10,4"])
            #expect(found[0].tensors.map(\.tensor.shape) == [[10, 4, 4], [30, 10], [6, 4]])
            #expect(found[0].outFeatures == shaped.rows && found[0].inFeatures == shaped.columns)
            #expect(tasks[0].objective.relativeError(of: found[0]) < 0.9)
        }
    }

    @Test func aGroupOfOneWithoutHeadsIsAMatrix() throws {
        let tasks = TuckerOracle.tasks([TuckerOracle.random(30, 40, seed: 81)])
        for group in ["heads", "experts", "layers"] {
            let found = try TuckerOracle.operators(tasks, .keep(0.5), ["tucker-group": group])
            #expect(found[0].tensors.map(\.name) == ["tucker.out", "tucker.core", "tucker.in"])
        }
    }

    @Test func metricsOfAttentionOutputsAreHonoured() throws {
        let splits: [HeadSplit?] = (0..<4).map { HeadSplit(count: 3, axis: $0 == 3 ? .inputs : .outputs) }
        let weights = (0..<4).map { TuckerOracle.random(24, 24, seed: 90 + UInt64($0)) }
        let shared = try TuckerOracle.gram(24, samples: 60, seed: 95)
        let own = try TuckerOracle.gram(24, samples: 60, seed: 96)
        let inputs: [Metric] = [.gram(shared), .gram(shared), .gram(shared), .gram(own)]
        let tasks = TuckerOracle.tasks(weights, inputs: inputs, heads: splits)
        let values = ["tucker-group": "heads", "tucker-ranks": "12,8,4"]
        let found = try TuckerOracle.operators(tasks, .options, values)
        let plain = try TuckerOracle.operators(TuckerOracle.tasks(weights, heads: splits), .options, values)
        #expect(TuckerOracle.squaredError(tasks, found) < TuckerOracle.squaredError(tasks, plain))
    }
}

extension TuckerOperator {
    /// The operator of a core that is moved a little at random, the same for all members of a group.
    fileprivate func perturbed(member: Int, by share: Double, seed: UInt64) throws -> TuckerOperator {
        let tensors = self.tensors
        let moved = tensors.map { part -> StoredTensor in
            guard part.name.hasSuffix("core"), let core = part.tensor.operand() else { return part.tensor }
            let noise = CounterRandom(seed: seed + 500)
            let scale = (sumOfSquares(core) / Double(core.rows * core.columns)).squareRoot()
            let matrix = Matrix(rows: core.rows, columns: core.columns) { i, j in
                Float(core[i, j] + share * scale * noise.normal(i * core.columns + j))
            }
            return StoredTensor(MatrixOperand(matrix), as: .float32, shape: part.tensor.shape)
        }
        let named = Dictionary(uniqueKeysWithValues: zip(tensors.map(\.name), moved))
        return try TuckerOperator(reading: OperatorSource(module: "m\(member)", entry: .object(entry)) { named[$0] })
    }
}
