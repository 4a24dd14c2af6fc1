import CompressionCore
import MatrixCore
import Safetensors
import Testing

@testable import SVDCompression

@Suite struct FactorOperatorTests {
    @Test(arguments: [(5, 3, 2), (1, 7, 1), (33, 65, 17)], [ElementType.float32, .bfloat16, .float16])
    func appliesWhatItReconstructs(shape: (m: Int, n: Int, r: Int), type: ElementType) throws {
        let a: Matrix = CounterRandom(seed: 1).normalMatrix(rows: shape.m, columns: shape.r)
        let b: Matrix = CounterRandom(seed: 2).normalMatrix(rows: shape.r, columns: shape.n)
        let compressed = FactorOperator(a: MatrixOperand(a), b: MatrixOperand(b), storedAs: type)
        for tokens in [1, 2, 40] {
            let x: Matrix = CounterRandom(seed: 3).normalMatrix(rows: tokens, columns: shape.n)
            var y = Matrix(rows: tokens, columns: shape.m)
            compressed.apply(x.view, into: y.mutableView())
            let weight = compressed.reconstruct()
            for t in 0..<tokens {
                for i in 0..<shape.m {
                    let expected = (0..<shape.n).reduce(0.0) { $0 + Double(weight[i, $1]) * Double(x[t, $1]) }
                    #expect(abs(Double(y[t, i]) - expected) < 1e-4)
                }
            }
        }
    }

    @Test func readsBackWhatItStores() throws {
        let a: Matrix = CounterRandom(seed: 1).normalMatrix(rows: 4, columns: 2)
        let b: Matrix = CounterRandom(seed: 2).normalMatrix(rows: 2, columns: 6)
        let written = FactorOperator(a: MatrixOperand(a), b: MatrixOperand(b), storedAs: .bfloat16)
        let tensors = Dictionary(uniqueKeysWithValues: written.tensors.map { ($0.fullName(in: "m"), $0.tensor) })
        let source = OperatorSource(module: "m", entry: .object(written.entry)) { tensors[$0] }
        let read = try FactorOperator(reading: source)
        #expect(read.reconstruct() == written.reconstruct())
        #expect(read.parameters == 20 && read.macs == 20 && read.bytes == 40)
        #expect(Set(tensors.keys) == ["m.ALinear.weight", "m.BLinear.weight"])
    }

    @Test func factorsOfAnotherRankAreRefused() {
        let a = StoredTensor(MatrixOperand(Matrix(rows: 4, columns: 2)), as: .float32)
        let b = StoredTensor(MatrixOperand(Matrix(rows: 3, columns: 5)), as: .float32)
        let source = OperatorSource(module: "m", entry: ["rank": 3]) { $0.hasSuffix("BLinear.weight") ? b : a }
        #expect(
            throws: OperatorError.wrongShape("m.ALinear.weight", expected: "[any, 3]", found: [4, 2])
        ) { _ = try FactorOperator(reading: source) }
    }
}
