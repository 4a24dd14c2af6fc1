import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import TuckerCompression

/// Bundles against their known limits and brute force.
@Suite struct BundleTests {
    private static let size = 16

    private static func objectives(_ count: Int, whitened: Bool) throws -> [Objective] {
        try (0..<count).map { layer in
            let weight = TuckerOracle.random(size, size, seed: 60 + UInt64(layer))
            let moment = try TuckerOracle.gram(size, samples: 40, seed: 70 + UInt64(layer))
            let metric: Metric = whitened ? .gram(moment) : .identity
            return Objective(target: MatrixOperand(weight), inputs: metric)
        }
    }

    /// Q QᵀW R Rᵀ.
    private static func reconstruction(_ found: BundleProjections, _ layer: Int) -> Matrix {
        let core = found.core(of: layer), q = found.outputs[layer], r = found.inputs[layer]
        return Matrix(rows: size, columns: size) { i, j in
            var sum: Float = 0
            for a in 0..<core.rows { for b in 0..<core.columns { sum += q[i, a] * core[a, b] * r[j, b] } }
            return sum
        }
    }

    private static func plainError(_ objective: Objective, _ found: Matrix) -> Double {
        sumOfSquaredDifferences(objective.target, MatrixOperand(found))
    }

    @Test func untiedWithoutAnchorsItIsThePlainSVD() throws {
        let objectives = try Self.objectives(2, whitened: true)
        let found = try BundleProjections(objectives, rank: 5, strength: 0, form: .untied)
        for layer in 0..<2 {
            let spectrum = try TruncatedSVD(route: .direct).spectrum(objectives[layer].target)
            let tail = spectrum.dropFirst(5).reduce(0) { $0 + $1 * $1 }
            #expect(Self.plainError(objectives[layer], Self.reconstruction(found, layer)) < tail * (1 + 1e-3))
        }
    }

    /// The distance to the whitened SVD falls as 1/λ.
    @Test func strongAnchorsGiveTheWhitenedSVD() throws {
        let objectives = try Self.objectives(2, whitened: true)
        let expected = try objectives.map { objective in
            let u = try TruncatedSVD(route: .direct).decompose(objective.inputs.weighted(objective.target), rank: 5).u
            return Matrix(rows: Self.size, columns: Self.size) { i, j in
                var sum = 0.0
                for a in 0..<5 {
                    for k in 0..<Self.size { sum += Double(u[i, a]) * Double(u[k, a]) * objective.target[k, j] }
                }
                return Float(sum)
            }
        }
        func distance(_ strength: Double) throws -> Double {
            let found = try BundleProjections(objectives, rank: 5, strength: strength, form: .untied)
            return (0..<2).reduce(0) {
                $0 + sumOfSquaredDifferences(MatrixOperand(expected[$1]), MatrixOperand(Self.reconstruction(found, $1)))
            }.squareRoot()
        }
        let near = try distance(100), far = try distance(1000)
        #expect(far < near / 7 && far > near / 14, "\(near) \(far)")
    }

    @Test(arguments: BundleProjections.Form.allCases, [0, 0.1, 3])
    func theEnergyIsAsDefinedAndNeverRises(form: BundleProjections.Form, strength: Double) throws {
        let objectives = try Self.objectives(4, whitened: true)
        let found = try BundleProjections(objectives, rank: 4, strength: strength, form: form)
        for (before, after) in zip(found.energies, found.energies.dropFirst()) {
            #expect(after <= before * (1 + 1e-6))
        }
        if strength == 0 {
            let error = (0..<4).reduce(0) { $0 + Self.plainError(objectives[$1], Self.reconstruction(found, $1)) }
            #expect(abs(error - (found.energies.last ?? 0)) < 1e-4 * error)
        }
        if form == .tied {
            for layer in 1..<4 {
                let here = MatrixOperand(found.inputs[layer]), there = MatrixOperand(found.outputs[layer - 1])
                #expect(sumOfSquaredDifferences(here, there) == 0)
            }
        }
    }

    /// No projection can be turned a little and lower the energy: each is the best given the others.
    @Test func everyProjectionIsBestGivenTheOthers() throws {
        let objectives = try Self.objectives(3, whitened: false)
        let found = try BundleProjections(objectives, rank: 4, strength: 0, form: .tied)
        let base = (0..<3).reduce(0) { $0 + Self.plainError(objectives[$1], Self.reconstruction(found, $1)) }
        for seed in 0..<6 as Range<UInt64> {
            let noise = TuckerOracle.random(Self.size, 4, seed: 300 + seed)
            let boundary = found.outputs[0]
            let moved = Matrix(rows: Self.size, columns: 4) { boundary[$0, $1] + 0.05 * noise[$0, $1] }
            let turned = try ThinQR(moved.view).q
            func captured(_ p: Matrix) -> Double {
                [(0, p, found.inputs[0]), (1, found.outputs[1], p)].reduce(0.0) { sum, part in
                    var inner = Matrix(rows: Self.size, columns: 4), core = Matrix(rows: 4, columns: 4)
                    multiply(objectives[part.0].target, MatrixOperand(part.2), into: inner.mutableView())
                    multiply(MatrixOperand(part.1).transposed, MatrixOperand(inner), into: core.mutableView())
                    return sum + sumOfSquares(MatrixOperand(core))
                }
            }
            #expect(captured(turned) <= captured(boundary) * (1 + 1e-4))
        }
        #expect(base > 0)
    }

    @Test func itIsStoredAsTheTuckerFormOfItsMatrix() throws {
        let heads = HeadSplit(count: 2, axis: .inputs)
        let tasks = try Self.objectives(3, whitened: true).enumerated().map { layer, objective in
            CompressionTask(
                member: GroupMember(
                    module: "m\(layer)", outFeatures: Self.size, inFeatures: Self.size, factorType: .float32,
                    heads: heads),
                objective: objective)
        }
        let compressor = try TuckerOracle.compressor(["tucker-bundle": "0.5"])
        let sizes = try #require(try compressor.size(of: tasks.map(\.member), budget: .rank(4)))
        for (size, outcome) in zip(sizes, try compressor.compress(tasks, budget: .rank(4))) {
            guard case .compressed(let found, let evidence) = outcome else {
                Issue.record("dense")
                continue
            }
            #expect(size.tensors.map(\.shape) == found.tensors.map(\.tensor.shape))
            #expect(found.parameters == 2 * Self.size * 4 + 16)
            #expect(evidence.solver == "bundle")
        }
        // Others are compressed as if alone.
        var single = tasks
        single.removeLast(2)
        let alone = try compressor.compress(single, budget: .rank(4))
        guard case .compressed(_, let evidence) = alone[0] else { return }
        #expect(evidence.solver != "bundle")
    }

    @Test func badOptionsAreNamed() {
        let cases: [([String: String], String)] = [
            (["tucker-bundle": "-1"], "tucker-bundle"), (["tucker-bundle-form": "tied"], "tucker-bundle-form"),
            (["tucker-bundle": "1", "tucker-group": "heads"], "tucker-bundle"),
            (["tucker-bundle": "1", "tucker-bundle-form": "loose"], "tucker-bundle-form"),
        ]
        for (values, name) in cases {
            #expect("\(values)") {
                _ = try TuckerOracle.compressor(values)
            } throws: { error in
                if case .badOption(name, _)? = error as? CompressionError { true } else { false }
            }
        }
    }
}
