import CompressionCore
import MatrixCore
import Safetensors
import Testing

@testable import TensorTrainCompression

@Suite struct PivotTrainTests {
    /// The same matrix in fewer numbers: r² fewer on every bond whose core is not square.
    @Test(arguments: TensorTrainOperatorTests.trains)
    func pivotsLeaveTheTrainAsItIs(train: (TrainModes, [Int])) throws {
        let source = Oracle.train(train.0, ranks: train.1)
        let expected = source.reconstruct()
        let pivots = try PivotTrain(source)
        let compressed = TensorTrainOperator(pivots, storedAs: .float32)
        #expect(Oracle.relativeDifference(compressed.reconstruct(), expected) < 1e-5)
        let all = [1] + train.1 + [1]
        var saved = 0
        var positions = 0
        for bond in train.1.indices where all[bond] * train.0.sizes[bond] > all[bond + 1] {
            saved += train.1[bond] * train.1[bond]
            positions += train.1[bond]
        }
        #expect(compressed.parameters == train.0.parameters(ranks: train.1) - saved)
        #expect(PivotTrain.saving(train.0, ranks: train.1) == (saved, positions))
        #expect(compressed.tensors.reduce(0) { $0 + ($1.isIndex ? $1.tensor.elementCount : 0) } == positions)
        #expect(pivots.largestCoefficient < 20)
    }

    @Test(arguments: TensorTrainOperatorTests.trains, [ElementType.float32, .bfloat16, .float16])
    func pivotTrainsAreReadBackAndApplied(train: (TrainModes, [Int]), type: ElementType) throws {
        let compressed = TensorTrainOperator(try PivotTrain(Oracle.train(train.0, ranks: train.1)), storedAs: type)
        let read = try TensorTrainOperator(reading: source(compressed))
        #expect(
            read.reconstruct() == compressed.reconstruct() && read.storage == .pivot && read.entry == compressed.entry)
        let x: Matrix = CounterRandom(seed: 11).normalMatrix(rows: 3, columns: train.0.inFeatures)
        var y = Matrix(rows: 3, columns: train.0.outFeatures)
        read.apply(x.view, into: y.mutableView())
        #expect(Oracle.relativeDifference(y, Oracle.product(x, read.reconstruct())) < 1e-5)
    }

    @Test func badPositionsAreRefused() throws {
        let modes = TrainModes(outputs: [6, 4], inputs: [4, 9])
        let compressed = TensorTrainOperator(try PivotTrain(Oracle.train(modes, ranks: [3])), storedAs: .float32)
        let cases: [StoredTensor?] = [
            nil, StoredTensor([Int32](arrayLiteral: 0, 0, 1), dtype: .i32),
            StoredTensor([Int32](arrayLiteral: 0, 1, 24), dtype: .i32),
            StoredTensor([Int32](arrayLiteral: -1, 1, 2), dtype: .i32),
            StoredTensor([Int32](arrayLiteral: 0, 1), dtype: .i32),
        ]
        for index in cases {
            #expect(throws: OperatorError.self) {
                _ = try TensorTrainOperator(reading: source(compressed) { $1["m.tt.0.pivot.index"] = index })
            }
        }
        #expect(throws: OperatorError.self) {
            _ = try TensorTrainOperator(reading: source(compressed) { entry, _ in entry["storage"] = "gauge" })
        }
        #expect(throws: OperatorError.self) {
            _ = try TensorTrainOperator(reading: source(compressed) { entry, _ in entry["storage"] = "factors" })
        }
    }

    private func source(
        _ compressed: TensorTrainOperator, change: (inout JSON, inout [String: StoredTensor]) -> Void = { _, _ in }
    ) -> OperatorSource {
        var entry = JSON.object(compressed.entry)
        var tensors = Dictionary(uniqueKeysWithValues: compressed.tensors.map { ("m.\($0.name)", $0.tensor) })
        change(&entry, &tensors)
        let found = tensors
        return OperatorSource(module: "m", entry: entry) { (name) throws(OperatorError) in found[name] }
    }

    // MARK: - Budgets

    private func compress(
        _ storage: MethodSettings.Storage, _ budget: Budget, _ type: ElementType, _ values: [String: String] = [:]
    ) throws -> (planned: PlannedSize?, form: TensorTrainOperator)? {
        let weight = Oracle.weight(48, 36)
        let member = GroupMember(module: "m", outFeatures: 48, inFeatures: 36, factorType: type)
        let compressor = try TensorTrainCompressor(MethodSettings(storage: storage, values: values))
        let task = CompressionTask(member: member, objective: Objective(target: MatrixOperand(weight)))
        guard case .compressed(let form, _) = try compressor.compress([task], budget: budget)[0] else { return nil }
        return (try compressor.size(of: [member], budget: budget)?[0], try #require(form as? TensorTrainOperator))
    }

    /// At equal size the error is lower in Float, and never above in narrow types.
    @Test(arguments: [[:], ["tt-order": "3"], ["tt-layout": "split"]], [0.8, 0.5, 0.25])
    func pivotsLowerTheErrorAtEqualSize(values: [String: String], keep: Double) throws {
        let weight = MatrixOperand(Oracle.weight(48, 36))
        for type in [ElementType.float32, .bfloat16, .float16] {
            let plain = try #require(try compress(.factors, .keep(keep), type, values))
            let pivot = try #require(try compress(.pivot, .keep(keep), type, values))
            let error = relativeError(of: weight, replacedBy: pivot.form)
            let other = relativeError(of: weight, replacedBy: plain.form)
            let isHigher = pivot.form.entry["ranks"] != plain.form.entry["ranks"]
            if type == .float32 {
                // At equal ranks both are the same train, but for rounding.
                #expect(isHigher ? error < other : error <= other * (1 + 1e-6))
            } else {
                #expect(error <= other)
            }
            #expect(Double(pivot.form.parameters) <= keep * 48 * 36)
            let shapes = pivot.form.tensors.map(\.tensor.shape)
            #expect(shapes == pivot.planned?.tensors.map(\.shape) || shapes == pivot.planned?.alternative.map(\.shape))
            if type == .float32 { #expect(pivot.planned?.entry == pivot.form.entry) }
        }
    }

    @Test(arguments: [0.2, 0.4])
    func errorBoundsHoldForPivots(bound: Double) throws {
        let weight = MatrixOperand(Oracle.weight(48, 36))
        for type in [ElementType.float32, .bfloat16] {
            guard let (_, form) = try compress(.pivot, .error(bound), type) else { continue }
            #expect(relativeError(of: weight, replacedBy: form) <= bound)
        }
        #expect(try compress(.pivot, .rank(3), .bfloat16)?.form.storage == .pivot)
    }
}
