import MatrixCore
import Safetensors
import Testing

@testable import CompressionCore

@Suite struct DenseOperatorTests {
    let weight = Matrix(rows: 2, columns: 3, elements: [1, 2, 3, 4, 5, 6])

    @Test func multipliesTokensByTheTransposedWeight() {
        let x = Matrix(rows: 1, columns: 3, elements: [1, 0, -1])
        var y = Matrix(rows: 1, columns: 2)
        DenseOperator(weight: MatrixOperand(weight)).apply(x.view, into: y.mutableView())
        #expect(y.elements == [-2, -2])
    }

    @Test func countsWhatItStores() {
        let dense = DenseOperator(weight: MatrixOperand(weight))
        #expect(dense.parameters == 6 && dense.bytes == 24 && dense.macs == 6)
        #expect(relativeError(of: MatrixOperand(weight), replacedBy: dense) == 0)
    }

    @Test func missingTensorsAndUnknownSchemasAreNamed() {
        let library = OperatorLibrary([DenseOperator.self])
        let empty = OperatorSource(module: "m", entry: ["schema": "Linear"]) { _ in nil }
        #expect(throws: OperatorError.missingTensor("m.weight")) { _ = try library.read(empty) }
        let other = OperatorSource(module: "m", entry: ["schema": "Other"]) { _ in nil }
        #expect(throws: OperatorError.unknownSchema(module: "m", schema: "Other", known: ["Linear"])) {
            _ = try library.read(other)
        }
    }
}
