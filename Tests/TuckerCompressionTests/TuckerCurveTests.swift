import CompressionCore
import Kernels
import MatrixCore
import Testing

@testable import TuckerCompression

/// What Tucker forms lose at every size, against forms of that size.
@Suite struct TuckerCurveTests {
    private static func numbers(_ tasks: [CompressionTask], _ outcomes: [CompressionOutcome]) -> Int {
        var names: Set<String> = []
        var numbers = 0
        for case (.compressed(let found, _), let task) in zip(outcomes, tasks) {
            for tensor in found.numbers where names.insert(tensor.fullName(in: task.member.module)).inserted {
                numbers += tensor.tensor.elementCount
            }
        }
        return numbers
    }

    private static func loss(_ tasks: [CompressionTask], _ outcomes: [CompressionOutcome]) -> Double {
        zip(tasks, outcomes).reduce(0) { sum, pair in
            guard case .compressed(let found, _) = pair.1 else { return sum }
            let error = pair.0.objective.relativeError(of: found)
            return sum + error * error * pair.0.objective.squaredNorm(of: pair.0.objective.target)
        }
    }

    @Test(arguments: MethodSettings.Storage.allCases, [false, true])
    func aMatrixLosesTheTailOfItsSpectrum(storage: MethodSettings.Storage, isWeighted: Bool) throws {
        let gram = Metric.gram(try TuckerOracle.gram(26, samples: 80, seed: 41))
        let weight = TuckerOracle.random(22, 26, seed: 11)
        let tasks = TuckerOracle.tasks([weight], inputs: isWeighted ? [gram] : nil)
        let compressor = try TuckerCompressor(MethodSettings(storage: storage))
        let found: LossCurve? = try compressor.curve(of: tasks[0])
        let curve = try #require(found)
        for point in curve.points {
            let outcomes = try compressor.compress(tasks, budget: curve.budget(rank: point.rank))
            #expect(Self.numbers(tasks, outcomes) == point.parameters)
            #expect(abs(Self.loss(tasks, outcomes) - point.loss) < 1e-3 * curve.total, "rank \(point.rank)")
        }
    }

    /// HOSVD is what the curve states, and HOOI is no worse.
    @Test(arguments: MethodSettings.Storage.allCases)
    func aStackLosesAtMostWhatItsCurveSays(storage: MethodSettings.Storage) throws {
        let weights = TuckerOracle.related(count: 3, rows: 22, columns: 26, seed: 40)
        let gram = Metric.gram(try TuckerOracle.gram(26, samples: 80, seed: 41))
        let tasks = TuckerOracle.tasks(weights, inputs: Array(repeating: gram, count: 3))
        let compressor = try TuckerCompressor(
            MethodSettings(storage: storage, values: ["tucker-group": "layers", "share-layers": "3"]))
        let found: GroupLossCurve? = try compressor.curve(of: tasks)
        let curve = try #require(found).joint
        #expect(curve.points.count > 12)
        for (index, point) in curve.points.enumerated() where index % 8 == 0 {
            let outcomes = try compressor.compress(tasks, budget: curve.budget(rank: point.rank))
            #expect(Self.numbers(tasks, outcomes) == point.parameters)
            #expect(Self.loss(tasks, outcomes) <= point.loss + 1e-4 * curve.total)
        }
    }
}
