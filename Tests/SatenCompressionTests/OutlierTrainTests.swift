import CompressionCore
import Kernels
import MatrixCore
import TensorTrainCompression
import Testing

@testable import SatenCompression

/// Trains that keep single entries apart.
@Suite struct OutlierTrainTests {
    /// Noise, and three entries that are far above it.
    private static let places = [(2, 7), (31, 40), (47, 0)]
    private let weight: Matrix = {
        var weight: Matrix = CounterRandom(seed: 5).normalMatrix(rows: 48, columns: 64)
        for (i, j) in places { weight[i, j] = 300 }
        return weight
    }()

    private func task(_ type: ElementType = .float32) -> CompressionTask {
        CompressionTask(
            member: GroupMember(module: "m", outFeatures: 48, inFeatures: 64, factorType: type),
            objective: Objective(target: MatrixOperand(weight)))
    }

    private func compress(
        _ options: [String: String], _ budget: Budget, _ type: ElementType = .float32
    ) throws -> any LinearOperator {
        let compressor = try OutlierTrainCompressor(MethodSettings(values: options))
        let outcome = try compressor.compress([task(type)], budget: budget)[0]
        guard case .compressed(let found, _) = outcome else { throw CompressionError.targetUnreachable("\(outcome)") }
        let size = try compressor.size(of: [task(type).member], budget: budget)?.first
        if budget.isKnownFromShape { #expect(size?.parameters == found.parameters && size?.bytes == found.bytes) }
        return found
    }

    @Test(arguments: [ElementType.float32, .bfloat16])
    func theLargestEntriesAreExactToRounding(type: ElementType) throws {
        // 3 of 3072 entries.
        let found = try compress(["tt-outliers": "0.001"], .keep(0.3), type)
        let saten = try #require(found as? SatenOperator)
        #expect(saten.entries == 3 && saten.lowRank is TensorTrainOperator)
        #expect(Double(found.parameters) <= 0.3 * 48 * 64)
        let again = found.reconstruct()
        let digits = type == .float32 ? Float(1e-5) : 0x1p-8
        for (i, j) in Self.places { #expect(abs(again[i, j] - 300) <= 300 * digits) }
        // The same budget without them spends the train on three entries.
        let train = try compress([:], .keep(0.3), type)
        #expect(train is TensorTrainOperator)
        func error(_ matrix: Matrix) -> Double { sumOfSquaredDifferences(MatrixOperand(matrix), MatrixOperand(weight)) }
        #expect(error(again) < error(train.reconstruct()))
    }

    @Test func everyBudgetCountsThem() throws {
        let ranked = try compress(["tt-outliers": "0.001", "tt-ranks": "5"], .options)
        let train = try compress(["tt-ranks": "5"], .options)
        #expect(ranked.parameters == train.parameters + 3)
        #expect(try compress(["tt-outliers": "0.001"], .rank(5)).parameters == train.parameters + 3)
        // One entry at least.
        #expect(try compress(["tt-outliers": "1e-9"], .rank(5)).parameters == train.parameters + 1)
        let bound = try compress(["tt-outliers": "0.001"], .error(0.08))
        #expect(task().objective.relativeError(of: bound) <= 0.08)
    }

    @Test(arguments: ["0", "1", "-1", "x"])
    func sharesOutOfRangeAreRefused(share: String) {
        #expect(throws: CompressionError.self) {
            try OutlierTrainCompressor(MethodSettings(values: ["tt-outliers": share]))
        }
    }
}
