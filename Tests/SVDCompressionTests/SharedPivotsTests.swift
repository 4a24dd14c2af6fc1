import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import SVDCompression

/// Pivot storage of several sizes that are made together.
@Suite struct SharedPivotsTests {
    private func outcomes(
        _ task: CompressionTask, _ variants: [CompressionVariant]
    ) throws -> [(any LinearOperator, CompressionEvidence)] {
        var found: [Int: CompressionOutcome] = [:]
        try SVDCompressor.compress([task], variants: variants) { found[$0] = $1[0] }
        return try variants.indices.map { try compressed(#require(found[$0])) }
    }

    private func compressed(_ outcome: CompressionOutcome) throws -> (any LinearOperator, CompressionEvidence) {
        guard case .compressed(let form, let evidence) = outcome else { throw Unexpected.dense }
        return (form, evidence)
    }

    private enum Unexpected: Error { case dense }

    private func bytes(_ form: any LinearOperator) -> [String: [UInt8]] {
        Dictionary(uniqueKeysWithValues: form.tensors.map { ($0.fullName(in: "m"), $0.tensor.array(of: UInt8.self)) })
    }

    /// Ranks of 368, 298, 244, 40: above and below the least that rows are chosen for by elimination.
    @Test(arguments: [ElementType.bfloat16, .float32], [false, true])
    func sizesAreThoseMadeAlone(type: ElementType, isWeighed: Bool) throws {
        let weight: Matrix = CounterRandom(seed: 8).normalMatrix(rows: 572, columns: 512)
        let weights = (0..<572).map { 1 + Double($0) / 500 }
        let objective = Objective(target: MatrixOperand(weight), outputs: isWeighed ? .diagonal(weights) : .identity)
        let member = GroupMember(module: "m", outFeatures: 572, inFeatures: 512, factorType: type)
        let task = CompressionTask(member: member, objective: objective)
        let pivot = SVDCompressor(storage: .pivot)
        let variants = [
            CompressionVariant(pivot, budget: .rank(40)), CompressionVariant(pivot, budget: .keep(0.9)),
            CompressionVariant(SVDCompressor(), budget: .keep(0.6)), CompressionVariant(pivot, budget: .keep(0.7)),
            CompressionVariant(pivot, budget: .keep(0.8)), CompressionVariant(pivot, budget: .error(0.5)),
        ]
        for (variant, together) in zip(variants, try outcomes(task, variants)) {
            let alone = try compressed(variant.compressor.compress([task], budget: variant.budget)[0])
            let label = "\(variant.budget)"
            #expect(bytes(together.0) == bytes(alone.0), "\(label)")
            #expect(together.1.roundingError == alone.1.roundingError, "\(label)")
            #expect(together.1.plainError == alone.1.plainError, "\(label)")
            #expect(together.1.energyKept == alone.1.energyKept, "\(label)")
            #expect(together.1.details == alone.1.details, "\(label)")
        }
    }

    /// The naive difference, over more rows than are made at a time, from weights of any type.
    @Test(arguments: [(2400, 5, 3), (4700, 3, 2), (6, 4, 5), (3, 3, 3)], [ElementType.float32, .bfloat16])
    func theErrorOfOtherRowsIsThatOfWhatTheyAre(shape: (m: Int, n: Int, r: Int), type: ElementType) throws {
        let (m, n, r) = shape
        let pivots = (0..<r).map { $0 * m / r }, others = (0..<m).filter { !pivots.contains($0) }
        let rows: Matrix = CounterRandom(seed: 1).normalMatrix(rows: r, columns: n)
        let rest: Matrix = CounterRandom(seed: 2).normalMatrix(rows: m - r, columns: r)
        let form = PivotOperator(pivot: MatrixOperand(rows), rest: MatrixOperand(rest), rows: pivots, storedAs: type)
        let random: Matrix = CounterRandom(seed: 3).normalMatrix(rows: m, columns: n)
        let target = try #require(StoredTensor(MatrixOperand(random), as: type).operand())
        let made = form.reconstruct()
        var expected = 0.0
        for row in others {
            for column in 0..<n {
                let difference = target[row, column] - Double(made[row, column])
                expected += difference * difference
            }
        }
        let found = form.squaredErrorOfOtherRows(others, of: target)
        #expect(abs(found - expected) <= 1e-6 * expected)
    }

    /// The measured rounding error is that of the written numbers against those before rounding.
    @Test(arguments: [2, 40, 300]) func roundingIsEstimatedWithinSomePerCent(rank: Int) throws {
        let weight: Matrix = CounterRandom(seed: 9).normalMatrix(rows: 640, columns: 600)
        let target = MatrixOperand(weight)
        func form(_ type: ElementType, _ storage: MethodSettings.Storage) throws -> (Matrix, CompressionEvidence) {
            let member = GroupMember(module: "m", outFeatures: 640, inFeatures: 600, factorType: type)
            let task = CompressionTask(member: member, objective: Objective(target: target))
            let found = try SVDCompressor(storage: storage).compress([task], budget: .rank(rank))[0]
            let (operation, evidence) = try compressed(found)
            return (operation.reconstruct(), evidence)
        }
        for storage in [MethodSettings.Storage.factors, .pivot] {
            let (exact, _) = try form(.float32, .factors), (rounded, evidence) = try form(.bfloat16, storage)
            let squared = sumOfSquaredDifferences(MatrixOperand(exact), MatrixOperand(rounded)) / sumOfSquares(target)
            let found = try #require(evidence.roundingError)
            #expect(abs(found - squared.squareRoot()) <= (rank < 10 ? 0.2 : 0.03) * found, "\(storage)")
        }
    }
}
