import CompressionCore
import Kernels
import MatrixCore
import Safetensors
import Testing

@testable import TuckerCompression

@Suite struct TuckerPivotTests {
    private typealias Form = TuckerOperatorTests.Form

    /// The same ranks with and without pivots are the same map.
    @Test(arguments: TuckerOperatorTests.Form.allCases)
    func pivotsAreExactInSinglePrecision(form: TuckerOperatorTests.Form) throws {
        let tasks = form.tasks(.float32)
        let plain = try TuckerOracle.operators(tasks, .options, form.values)
        let pivoted = try TuckerOracle.operators(tasks, .options, form.values, storage: .pivot)
        for (left, right) in zip(plain, pivoted) {
            let norm = sumOfSquares(MatrixOperand(left.reconstruct()))
            let difference = sumOfSquaredDifferences(
                MatrixOperand(left.reconstruct()), MatrixOperand(right.reconstruct()))
            #expect(difference < 1e-10 * norm)
            #expect(right.parameters < left.parameters && right.macs == left.macs)
        }
    }

    @Test(arguments: ["matrix", "layers"], [0.8, 0.5])
    func pivotsLowerTheErrorAtEqualSize(group: String, keep: Double) throws {
        let weights = (0..<(group == "matrix" ? 1 : 2)).map { TuckerOracle.random(60, 60, seed: 20 + UInt64($0)) }
        let tasks = TuckerOracle.tasks(weights)
        let values = ["tucker-group": group]
        let plain = try TuckerOracle.operators(tasks, .keep(keep), values)
        let pivoted = try TuckerOracle.operators(tasks, .keep(keep), values, storage: .pivot)
        #expect(pivoted[0].parameters <= Int(keep * Double(weights.count * 3600)))
        #expect(TuckerOracle.squaredError(tasks, pivoted) < 0.95 * TuckerOracle.squaredError(tasks, plain))
    }

    @Test(arguments: [ElementType.bfloat16, .float16])
    func writtenErrorsAreNeverAboveThoseOfPlainFactors(type: ElementType) throws {
        for seed in UInt64(0)..<3 {
            let weights = TuckerOracle.related(count: 2, rows: 40, columns: 48, seed: 30 + 7 * seed)
            let tasks = TuckerOracle.tasks(weights, type: type)
            for keep in [0.8, 0.4] {
                let plain = try TuckerOracle.operators(tasks, .keep(keep), ["tucker-group": "layers"])
                let pivoted = try TuckerOracle.operators(
                    tasks, .keep(keep), ["tucker-group": "layers"], storage: .pivot)
                func error(_ found: [TuckerOperator]) -> Double {
                    zip(tasks, found).reduce(0) { $0 + pow2($1.0.objective.relativeError(of: $1.1)) }
                }
                #expect(error(pivoted) <= error(plain))
            }
        }
    }

    private func pow2(_ value: Double) -> Double { value * value }

    @Test(arguments: TuckerOperatorTests.Form.allCases)
    func readsBackWhatItStores(form: TuckerOperatorTests.Form) throws {
        let tasks = form.tasks(.float32)
        let sizes = try #require(
            try TuckerOracle.compressor(form.values, storage: .pivot).size(of: tasks.map(\.member), budget: .options))
        let written = try TuckerOracle.operators(tasks, .options, form.values, storage: .pivot)
        for (index, compressed) in written.enumerated() {
            let tensors = Dictionary(
                uniqueKeysWithValues: compressed.tensors.map { ($0.fullName(in: "m\(index)"), $0.tensor) })
            let source = OperatorSource(module: "m\(index)", entry: .object(compressed.entry)) { tensors[$0] }
            let read = try TuckerOperator(reading: source)
            #expect(read.reconstruct() == compressed.reconstruct())
            #expect(read.parameters == compressed.parameters && read.bytes == compressed.bytes)
            #expect(sizes[index].parameters == compressed.parameters && sizes[index].bytes == compressed.bytes)
            #expect(sizes[index].tensors.map(\.shape) == compressed.tensors.map(\.tensor.shape))
        }
    }

    @Test func badPositionsAreRefused() throws {
        let form = Form.layers
        let written = try TuckerOracle.operators(form.tasks(.float32), .options, form.values, storage: .pivot)[0]
        let good = Dictionary(uniqueKeysWithValues: written.tensors.map { ($0.name, $0.tensor) })
        let name = try #require(written.tensors.first { $0.isIndex }).name
        let positions = try #require(good[name]).array(of: Int32.self)
        let count = positions.count
        let bad: [StoredTensor] = [
            StoredTensor(positions.reversed(), dtype: .i32),
            StoredTensor([Int32](repeating: 0, count: count), dtype: .i32),
            StoredTensor(positions.dropLast() + [1000], dtype: .i32),
            StoredTensor([-1] + positions.dropFirst(), dtype: .i32),
            StoredTensor(Array(positions.dropLast()), dtype: .i32),
        ]
        for tensor in bad {
            var tensors = good
            tensors[name] = tensor
            let source = OperatorSource(module: "m0", entry: .object(written.entry)) { tensors[$0] }
            #expect(throws: OperatorError.self) { _ = try TuckerOperator(reading: source) }
        }
    }
}
