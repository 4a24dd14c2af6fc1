import CompressionCore
import MatrixCore
import Safetensors
import Testing

@testable import TensorTrainCompression

@Suite struct TensorTrainOperatorTests {
    static let trains: [(TrainModes, [Int])] = [
        (TrainModes(outputs: [6, 4], inputs: [4, 9]), [5]),
        (TrainModes(outputs: [5, 3, 7], inputs: [3, 2, 11]), [4, 9]),
        (TrainModes(splitOutputs: [7, 5], inputs: [3, 11]), [3, 6, 5]),
        (TrainModes(outputs: [2, 3, 2, 2], inputs: [2, 3, 1, 2]), [3, 4, 2]),
        (TrainModes(outputs: [31, 1], inputs: [1, 29]), [8]), (TrainModes(outputs: [17], inputs: [19]), []),
        (TrainModes(outputs: [1, 13], inputs: [11, 1]), [1]),
        (TrainModes(outputs: [3, 2, 2, 2, 2], inputs: [2, 2, 2, 2, 3]), [2, 4, 4, 2]),
    ]

    private func tokens(_ count: Int, _ features: Int) -> Matrix {
        CounterRandom(seed: 11).normalMatrix(rows: count, columns: features)
    }

    @Test(arguments: trains, [ElementType.float32, .bfloat16, .float16])
    func applicationIsReconstructionTimesTokens(train: (TrainModes, [Int]), type: ElementType) {
        let compressed = TensorTrainOperator(Oracle.train(train.0, ranks: train.1), storedAs: type)
        let weight = compressed.reconstruct()
        for count in [1, 2, 7, 300] {
            let x = tokens(count, train.0.inFeatures)
            var y = Matrix(rows: count, columns: train.0.outFeatures)
            compressed.apply(x.view, into: y.mutableView())
            #expect(Oracle.relativeDifference(y, Oracle.product(x, weight)) < 1e-5)
        }
    }

    /// Every way to contract, in both directions, not only those that pay.
    @Test(arguments: trains)
    func everySweepGivesTheSameProduct(train: (TrainModes, [Int])) {
        let (modes, ranks) = train
        let source = Oracle.train(modes, ranks: ranks)
        let x = tokens(5, modes.inFeatures)
        let expected = Oracle.product(x, source.reconstruct())
        for cuts in 0..<(1 << (modes.order - 1)) {
            var blocks: [Range<Int>] = []
            var start = 0
            for core in 0..<modes.order where core == modes.order - 1 || cuts >> core & 1 == 1 {
                blocks.append(start..<(core + 1))
                start = core + 1
            }
            for direction in [TrainRoute.Direction.lastToFirst, .firstToLast] {
                let sweep = TrainSweep(source.blocks, modes: modes, blocks: blocks, direction: direction)
                var y = Matrix(rows: 5, columns: modes.outFeatures)
                sweep.apply(x.view, into: y.mutableView())
                #expect(Oracle.relativeDifference(y, expected) < 1e-5, "\(blocks) \(direction)")
            }
        }
    }

    /// W' formed at once, in two parts and digit by digit.
    @Test(arguments: trains.filter { $0.0.order > 1 }, [1, 2, 1000])
    func everyPartOfTheWeightIsMultiplied(train: (TrainModes, [Int]), parts: Int) {
        let (modes, ranks) = train
        let source = Oracle.train(modes, ranks: ranks)
        let x = tokens(5, modes.inFeatures)
        var y = Matrix(rows: 5, columns: modes.outFeatures)
        let numbers = modes.outFeatures * modes.inFeatures / parts
        TrainParts(source.blocks, modes: modes, partNumbers: max(1, numbers)).apply(x.view, into: y.mutableView())
        #expect(Oracle.relativeDifference(y, Oracle.product(x, source.reconstruct())) < 1e-5)
    }

    /// Tokens that lie in a larger buffer.
    @Test func stridedTokensAreRead() {
        let modes = TrainModes(outputs: [6, 4], inputs: [4, 9])
        let train = Oracle.train(modes, ranks: [2])
        let wide = tokens(3, 40)
        let x = Matrix(wide.view.columns(2..<38))
        var y = Matrix(rows: 3, columns: 30)
        TensorTrainOperator(train, storedAs: .float32).apply(
            wide.view.columns(2..<38), into: y.mutableView().columns(1..<25))
        #expect(
            Oracle.relativeDifference(Matrix(y.view.columns(1..<25)), Oracle.product(x, train.reconstruct())) < 1e-5)
        #expect((0..<3).allSatisfy { y[$0, 0] == 0 && y[$0, 25] == 0 })
    }

    @Test func theCheapestRouteIsCounted() {
        // Two cores: r·(n·m₂ + m·n₁) from the last, r·(n·m₁ + m·n₂) from the first; reconstruction m·n·(r + 1).
        let modes = TrainModes(outputs: [24, 16], inputs: [16, 24])
        let small = TrainRoute.cheapest(modes, ranks: [1, 3, 1], tokens: 1)
        #expect(small.blocks.count == 2 && small.tokenMacs == 3 * (384 * 16 + 384 * 16) && small.onceMacs == 0)
        let batch = TrainRoute.cheapest(modes, ranks: [1, 96, 1], tokens: 300)
        #expect(batch.blocks == [0..<2] && batch.onceMacs == 384 * 384 * 96 && batch.tokenMacs == 384 * 384)
        let weight = TensorTrainOperator(Oracle.train(modes, ranks: [96]), storedAs: .float32)
        #expect(weight.macs(tokens: 300) == Double(384 * 384 * (96 + 300)))
        #expect(weight.macs(tokens: 1) == Double(weight.macs))
        // A split train of whole outer bonds is two plain factors.
        let split = TrainModes(splitOutputs: [24, 16], inputs: [16, 24])
        let factors = TrainRoute.cheapest(split, ranks: [1, 16, 20, 16, 1], tokens: 100_000)
        #expect(factors.tokenMacs == 20 * (384 + 384))
        #expect(TensorTrainOperator(Oracle.train(modes, ranks: [3]), storedAs: .float32).macs == small.tokenMacs)
    }

    // MARK: - Stored form

    private func source(
        _ compressed: TensorTrainOperator, change: (inout JSON, inout [String: StoredTensor]) -> Void = { _, _ in }
    )
        -> OperatorSource
    {
        var entry = JSON.object(compressed.entry)
        var tensors = Dictionary(uniqueKeysWithValues: compressed.tensors.map { ("m.\($0.name)", $0.tensor) })
        change(&entry, &tensors)
        let found = tensors
        return OperatorSource(module: "m", entry: entry) { (name) throws(OperatorError) in found[name] }
    }

    @Test(arguments: trains)
    func operatorsAreReadBack(train: (TrainModes, [Int])) throws {
        let compressed = TensorTrainOperator(Oracle.train(train.0, ranks: train.1), storedAs: .bfloat16)
        let read = try TensorTrainOperator(reading: source(compressed))
        #expect(read.reconstruct() == compressed.reconstruct() && read.macs == compressed.macs)
        #expect(read.modes == train.0 && read.parameters == train.0.parameters(ranks: train.1))
        #expect(compressed.tensors.map(\.tensor.shape).allSatisfy { $0.count == 4 })
    }

    @Test func malformedTrainsAreRefused() throws {
        let compressed = TensorTrainOperator(
            Oracle.train(TrainModes(outputs: [6, 4], inputs: [4, 9]), ranks: [5]), storedAs: .float32)
        func refusal(_ change: (inout JSON, inout [String: StoredTensor]) -> Void) -> OperatorError? {
            do {
                _ = try TensorTrainOperator(reading: source(compressed, change: change))
                return nil
            } catch {
                return error
            }
        }
        let long = JSON.array(Array(repeating: JSON(2), count: 41))
        let changes: [(String, JSON)] = [
            ("out_modes", [6, 4, 1]), ("in_modes", [4]), ("ranks", [1, 5]), ("ranks", [5, 5, 1]), ("ranks", [1, 0, 1]),
            ("ranks", [1, 4, 1]), ("out_modes", [4, 6]), ("out_modes", [4_000_000_000, 4_000_000_000]), ("ranks", "5"),
            ("ranks", [1, 40, 1]), ("out_modes", long),
        ]
        for (key, value) in changes {
            #expect(refusal { entry, _ in entry[key] = value } != nil, "\(key)")
        }
        #expect(refusal { _, tensors in tensors["m.tt.1"] = nil } == .missingTensor("m.tt.1"))
        #expect(refusal { _, tensors in tensors["m.tt.0"] = tensors["m.tt.1"] } != nil)
        let whole = StoredTensor([Int32](repeating: 0, count: 120), dtype: .i32, shape: [1, 6, 4, 5])
        #expect(refusal { _, tensors in tensors["m.tt.0"] = whole } != nil)
    }
}
