import CompressionCore
import Kernels
import MatrixCore
import Safetensors
import Testing

@testable import TuckerCompression

@Suite struct TuckerOperatorTests {
    /// Every form that is stored, with odd sizes.
    enum Form: String, CaseIterable, Sendable {
        case matrix, layers, wholeColumns, wholeRows, fewMembers, heads, wholeHeads, grouped, groupedOutput

        var values: [String: String] {
            switch self {
            case .matrix: ["tucker-ranks": "5,5"]
            case .layers: ["tucker-group": "layers", "tucker-ranks": "3,7,5"]
            case .wholeColumns: ["tucker-group": "layers", "tucker-ranks": "3,7,33"]
            case .wholeRows: ["tucker-group": "experts", "tucker-ranks": "3,21,5"]
            case .fewMembers: ["tucker-group": "experts", "tucker-ranks": "2,7,9"]
            case .heads: ["tucker-group": "heads", "tucker-ranks": "11,4,3"]
            case .wholeHeads: ["tucker-group": "heads", "tucker-ranks": "11,7,4"]
            case .grouped, .groupedOutput: ["tucker-group": "heads", "tucker-ranks": "11,5"]
            }
        }

        func tasks(_ type: ElementType) -> [CompressionTask] {
            let count = switch self {
            case .matrix, .grouped, .groupedOutput: 1
            case .heads, .wholeHeads: 4
            default: 3
            }
            let isByHeads = values["tucker-group"] == "heads"
            let axes: [HeadSplit.Axis] = (0..<count).map { $0 == 3 || self == .groupedOutput ? .inputs : .outputs }
            let weights = axes.enumerated().map { index, axis in
                let weight = TuckerOracle.random(21, 33, seed: UInt64(index) + 7)
                return axis == .inputs ? Matrix(weight.view.transposed) : weight
            }
            return TuckerOracle.tasks(
                weights, type: type, heads: isByHeads ? axes.map { HeadSplit(count: 3, axis: $0) } : nil)
        }
    }

    @Test(arguments: Form.allCases, [ElementType.float32, .bfloat16, .float16])
    func appliesWhatItReconstructs(form: Form, type: ElementType) throws {
        for compressed in try TuckerOracle.operators(form.tasks(type), .options, form.values) {
            let weight = compressed.reconstruct()
            let norm = sumOfSquares(MatrixOperand(weight)).squareRoot()
            for tokens in [1, 2, 5, 64, 300] {
                let x = TuckerOracle.random(tokens, compressed.inFeatures, seed: 3)
                var y = Matrix(rows: tokens, columns: compressed.outFeatures)
                compressed.apply(x.view, into: y.mutableView())
                // Rows with a gap behind them, as the runtime's workspaces have.
                var wide = Matrix(rows: tokens, columns: compressed.outFeatures + 3)
                compressed.apply(x.view, into: wide.mutableView().columns(0..<compressed.outFeatures))
                for t in 0..<tokens {
                    for i in 0..<compressed.outFeatures {
                        let expected = (0..<compressed.inFeatures).reduce(0.0) {
                            $0 + Double(weight[i, $1]) * Double(x[t, $1])
                        }
                        #expect(abs(Double(y[t, i]) - expected) < 1e-5 * norm)
                        #expect(abs(Double(wide[t, i]) - expected) < 1e-5 * norm)
                    }
                }
            }
        }
    }

    @Test(arguments: Form.allCases, [ElementType.float32, .bfloat16])
    func readsBackWhatItStores(form: Form, type: ElementType) throws {
        for (index, written) in try TuckerOracle.operators(form.tasks(type), .options, form.values).enumerated() {
            let module = "m\(index)"
            let tensors = Dictionary(uniqueKeysWithValues: written.tensors.map { ($0.fullName(in: module), $0.tensor) })
            let source = OperatorSource(module: module, entry: .object(written.entry)) { tensors[$0] }
            let read = try TuckerOperator(reading: source)
            #expect(read.reconstruct() == written.reconstruct())
            #expect(read.macs == written.macs && read.bytes == written.bytes && read.parameters == written.parameters)
            #expect(JSON.object(read.entry).text(pretty: false) == JSON.object(written.entry).text(pretty: false))
            #expect(read.tensors.map { $0.fullName(in: module) } == written.tensors.map { $0.fullName(in: module) })
        }
    }

    @Test func membersHoldTheSharedTensorsUnderTheSameNames() throws {
        let form = Form.layers
        let found = try TuckerOracle.operators(form.tasks(.float32), .options, form.values)
        let names = found.map { $0.tensors.map { $0.fullName(in: "x") } }
        #expect(Set(names).count == 1 && names[0].allSatisfy { $0.hasPrefix("lowrank.tucker.m0.") })
        #expect(found[0].tensors.allSatisfy { $0.scope == .checkpoint })
    }

    @Test(arguments: Form.allCases)
    func aSharedFirstStepGivesWhatApplyGives(form: Form) throws {
        let found = try TuckerOracle.operators(form.tasks(.bfloat16), .options, form.values)
        let sharing = found.filter { $0.sharedInputKey != nil }
        let expected = switch form {
        case .matrix, .wholeColumns, .grouped, .groupedOutput: 0
        default: 3
        }
        #expect(sharing.count == expected && Set(sharing.map(\.sharedInputKey)).count <= 1)
        for compressed in sharing {
            let x = TuckerOracle.random(7, compressed.inFeatures, seed: 3)
            var bond = Matrix(rows: 7, columns: compressed.sharedFeatures)
            // The step of any member serves all.
            sharing[0].multiplyShared(x.view, into: bond.mutableView())
            var y = Matrix(rows: 7, columns: compressed.outFeatures), direct = y
            compressed.apply(bond: bond.view, into: y.mutableView())
            compressed.apply(x.view, into: direct.mutableView())
            #expect(y == direct)
        }
    }

    /// One thing wrong at a time.
    @Test(arguments: [
        ("ranks", JSON([3, 7])), ("ranks", JSON([3, 7, 6])), ("ranks", JSON([4, 7, 5])), ("ranks", JSON("3")),
        ("slice", JSON(3)), ("slice", JSON(-1)), ("slice", .null), ("group", JSON("other")), ("whole", JSON([1])),
        ("whole", JSON([0, 0])), ("whole", JSON([7])), ("whole", .null), ("heads", JSON(2)), ("heads", JSON(0)),
    ])
    func aWrongEntryIsRefused(key: String, value: JSON) throws {
        let written = try TuckerOracle.operators(Form.layers.tasks(.float32), .options, Form.layers.values)[1]
        let tensors = Dictionary(uniqueKeysWithValues: written.tensors.map { ($0.name, $0.tensor) })
        var entry = written.entry
        entry[key] = value
        let source = OperatorSource(module: "m1", entry: .object(entry)) { tensors[$0] }
        #expect(throws: OperatorError.self) { _ = try TuckerOperator(reading: source) }
    }

    @Test(arguments: [Form.matrix, .layers, .heads, .grouped])
    func aWrongOrMissingTensorIsRefused(form: Form) throws {
        let written = try TuckerOracle.operators(form.tasks(.float32), .options, form.values)[0]
        let good = Dictionary(uniqueKeysWithValues: written.tensors.map { ($0.fullName(in: "m0"), $0.tensor) })
        for name in good.keys {
            let shape = good[name]?.shape ?? []
            let transposed = StoredTensor(
                MatrixOperand(Matrix(rows: 1, columns: shape.reduce(1, *))), as: .float32, shape: shape.reversed())
            let longer = StoredTensor(
                MatrixOperand(Matrix(rows: 1, columns: 2 * shape.reduce(1, *))), as: .float32, shape: [2] + shape)
            let whole = StoredTensor([Int32](repeating: 0, count: shape.reduce(1, *)), dtype: .i32, shape: shape)
            for bad in [nil, shape == shape.reversed() ? nil : transposed, longer, whole] {
                var tensors = good
                tensors[name] = bad
                let source = OperatorSource(module: "m0", entry: .object(written.entry)) { tensors[$0] }
                #expect(throws: OperatorError.self) { _ = try TuckerOperator(reading: source) }
            }
        }
    }
}
