import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import SVDCompression

/// What groups lose at every rank, against groups that were compressed to it.
@Suite struct SharedBasisCurveTests {
    private static func gram(_ size: Int, seed: UInt64) throws -> Metric {
        let x: Matrix64 = CounterRandom(seed: seed).normalMatrix(rows: size, columns: 70)
        let scaled = Matrix64(rows: size, columns: 70) { x[$0, $1] * (0.2 + Double(($0 + Int(seed)) % 5)) }
        var moment = Matrix64(rows: size, columns: size)
        multiplyByTranspose(MatrixOperand(scaled), into: moment.mutableView())
        return .gram(try GramMetric(moment: moment))
    }

    private static func tasks(_ inputs: [Metric], outputs: Metric = .identity) -> [CompressionTask] {
        inputs.enumerated().map { index, metric in
            let weight: Matrix = CounterRandom(seed: 40 + UInt64(index)).normalMatrix(rows: 14, columns: 20)
            return CompressionTask(
                member: GroupMember(module: "m\(index)", outFeatures: 14, inFeatures: 20, factorType: .float32),
                objective: Objective(target: MatrixOperand(weight), inputs: metric, outputs: outputs))
        }
    }

    private static func losses(_ tasks: [CompressionTask], _ outcomes: [CompressionOutcome]) -> [Double] {
        zip(tasks, outcomes).map { task, outcome in
            guard case .compressed(let found, _) = outcome else { return 0 }
            let error = task.objective.relativeError(of: found)
            return error * error * task.objective.squaredNorm(of: task.objective.target)
        }
    }

    @Test(arguments: MethodSettings.Storage.allCases, ["plain", "same", "own", "own, both sides"])
    func theCurveIsWhatTheGroupLoses(storage: MethodSettings.Storage, kind: String) throws {
        let one = try Self.gram(20, seed: 1)
        let inputs: [Metric] =
            switch kind {
            case "plain": [.identity, .identity, .identity]
            case "same": [one, one, one]
            default: [one, try Self.gram(20, seed: 2), try Self.gram(20, seed: 3)]
            }
        let tasks = Self.tasks(inputs, outputs: kind.hasSuffix("sides") ? try Self.gram(14, seed: 9) : .identity)
        func compressor(sweeps: String) throws -> SVDCompressor {
            try SVDCompressor(
                MethodSettings(storage: storage, values: ["share-layers": "3", "share-sweeps": sweeps]))
        }
        let curve = try #require(try compressor(sweeps: "0").curve(of: tasks))
        #expect(curve.joint.denseParameters == 3 * 14 * 20 && !curve.joint.points.isEmpty)
        #expect(zip(curve.joint.points, curve.joint.points.dropFirst()).allSatisfy { $0.loss >= $1.loss })
        for (index, point) in curve.joint.points.enumerated() where index % 3 == 0 {
            let outcomes = try compressor(sweeps: "0").compress(tasks, budget: curve.joint.budget(rank: point.rank))
            let losses = Self.losses(tasks, outcomes)
            #expect(abs(losses.reduce(0, +) - point.loss) < 1e-4 * curve.joint.total)
            for (member, loss) in losses.enumerated() {
                var weights = [0.0, 0, 0]
                weights[member] = 2
                let weighted = curve.weighted(by: weights)
                #expect(abs(weighted.points[index].loss - 2 * loss) < 1e-3 * weighted.total)
            }
            var names: Set<String> = []
            var numbers = 0
            for case (.compressed(let found, _), let task) in zip(outcomes, tasks) {
                for tensor in found.numbers where names.insert(tensor.fullName(in: task.member.module)).inserted {
                    numbers += tensor.tensor.elementCount
                }
            }
            #expect(numbers == point.parameters)
            // A step of the basis only lowers it.
            let swept = Self.losses(tasks, try compressor(sweeps: "1").compress(tasks, budget: .rank(point.rank)))
            #expect(swept.reduce(0, +) <= point.loss + 1e-4 * curve.joint.total)
        }
    }
}
