import CompressionCore
import MatrixCore
import Safetensors
import Testing

@testable import MixTCompression

@Suite struct MixTOperatorTests {
    private func compressed(_ form: MixTForm, _ type: ElementType) -> MixTOperator {
        MixTOperator(form, branches: MixTOracle.randomBranches(form).map { MatrixOperand($0) }, storedAs: type)
    }

    @Test(
        arguments: [(24, 16, 2, 3), (27, 54, 3, 2), (13, 21, 2, 3), (5, 4, 2, 2), (67, 35, 2, 4)],
        [ElementType.float32, .bfloat16, .float16, .float64])
    func appliesWhatItReconstructs(shape: (m: Int, n: Int, base: Int, branches: Int), type: ElementType) throws {
        let form = try #require(
            MixTForm(rows: shape.m, columns: shape.n, base: shape.base, branches: shape.branches))
        let compressed = compressed(form, type)
        let weight = compressed.reconstruct()
        let norm = (0..<shape.m).reduce(0.0) { sum, i in
            (0..<shape.n).reduce(sum) { $0 + Double(weight[i, $1] * weight[i, $1]) }
        }.squareRoot()
        for tokens in [1, 2, 7, 300] {
            let x: Matrix = CounterRandom(seed: 3).normalMatrix(rows: tokens, columns: shape.n)
            var y = Matrix(rows: tokens, columns: shape.m) { _, _ in .nan }
            compressed.apply(x.view, into: y.mutableView())
            var worst = 0.0
            for t in 0..<tokens {
                for i in 0..<shape.m {
                    let expected = (0..<shape.n).reduce(0.0) { $0 + Double(weight[i, $1]) * Double(x[t, $1]) }
                    worst = max(worst, abs(Double(y[t, i]) - expected))
                }
            }
            #expect(worst < 1e-5 * max(norm, 1))
        }
    }

    @Test func noTokensAreNoWork() throws {
        let form = try #require(MixTForm(rows: 8, columns: 8, base: 2, branches: 2))
        var y = Matrix(rows: 0, columns: 8)
        compressed(form, .float32).apply(Matrix(rows: 0, columns: 8).view, into: y.mutableView())
    }

    @Test func reconstructsTheDefinition() throws {
        let form = try #require(MixTForm(rows: 13, columns: 21, base: 2, branches: 3))
        let found = compressed(form, .float32).reconstruct()
        let expected = MixTOracle.weight(form, MixTOracle.randomBranches(form))
        for i in 0..<13 {
            for j in 0..<21 { #expect(abs(Double(found[i, j]) - expected[i, j]) < 1e-6) }
        }
    }

    @Test func readsBackWhatItStores() throws {
        let form = try #require(MixTForm(rows: 13, columns: 21, base: 2, branches: 3))
        let written = compressed(form, .bfloat16)
        let tensors = Dictionary(uniqueKeysWithValues: written.tensors.map { ($0.fullName(in: "m"), $0.tensor) })
        let source = OperatorSource(module: "m", entry: .object(written.entry)) { tensors[$0] }
        let read = try MixTOperator(reading: source)
        #expect(read.reconstruct() == written.reconstruct() && read.form == form)
        #expect(Set(tensors.keys) == ["m.mixt.0", "m.mixt.1", "m.mixt.2"])
        #expect(written.parameters == 3 * 4 * 6 && written.bytes == 2 * 3 * 4 * 6 && written.macs == 3 * 4 * 6 * 4)
    }

    @Test(
        arguments: [
            ["base": 1, "branches": 2, "padded": [8, 8], "size": [8, 8]],
            ["base": 2, "branches": 2, "padded": [10, 8], "size": [8, 8]],
            ["base": 2, "branches": 2, "padded": [8, 8], "size": [9, 8]],
            ["base": 2, "branches": 2, "padded": [8], "size": [8, 8]],
            ["base": 2, "branches": 2, "padded": [8, 8], "size": [8, 8, 1]],
            ["base": 2, "branches": 4_000_000_000, "padded": [8, 8], "size": [8, 8]],
            ["base": 2, "branches": 2, "size": [8, 8]],
        ] as [JSON])
    func malformedEntriesAreErrors(entry: JSON) {
        let tensor = StoredTensor(MatrixOperand(Matrix(rows: 4, columns: 4)), as: .float32)
        let source = OperatorSource(module: "m", entry: entry) { _ in tensor }
        #expect(throws: OperatorError.self) { _ = try MixTOperator(reading: source) }
    }

    @Test func branchesOfAnotherShapeOrNoneAreErrors() {
        let entry: JSON = ["base": 2, "branches": 2, "padded": [8, 8], "size": [8, 7]]
        let good = StoredTensor(MatrixOperand(Matrix(rows: 4, columns: 4)), as: .float32)
        let wide = StoredTensor(MatrixOperand(Matrix(rows: 2, columns: 8)), as: .float32)
        let whole = StoredTensor([Int32](repeating: 0, count: 16), dtype: .i32, shape: [4, 4])
        for second in [wide, whole] {
            let source = OperatorSource(module: "m", entry: entry) { $0 == "m.mixt.0" ? good : second }
            #expect(throws: OperatorError.self) { _ = try MixTOperator(reading: source) }
        }
        let lacking = OperatorSource(module: "m", entry: entry) { $0 == "m.mixt.0" ? good : nil }
        #expect(throws: OperatorError.missingTensor("m.mixt.1")) { _ = try MixTOperator(reading: lacking) }
    }
}
