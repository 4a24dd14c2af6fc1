import MatrixCore
import Safetensors
import Testing

@testable import CompressionCore

@Suite struct StoredTensorTests {
    @Test func roundsToTheStoredType() throws {
        let matrix = Matrix(rows: 1, columns: 3, elements: [1, 1.00390625, 3])
        let stored = StoredTensor(MatrixOperand(matrix), as: .bfloat16)
        #expect(stored.dtype == .bf16 && stored.shape == [1, 3] && stored.byteCount == 6)
        let operand = try #require(stored.operand())
        #expect((0..<3).map { operand[0, $0] } == [1, 1, 3])
    }

    @Test func writesStridedMatricesWithoutGaps() throws {
        let matrix = Matrix(rows: 2, columns: 3, elements: [1, 2, 3, 4, 5, 6])
        let stored = StoredTensor(MatrixOperand(matrix.view.transposed), as: .float32, shape: [3, 2, 1])
        #expect(stored.array(of: Float.self) == [1, 4, 2, 5, 3, 6])
        #expect(try #require(stored.operand(leadingAxes: 2)).rows == 6)
    }

    @Test func wholeNumbersHaveNoOperand() {
        let stored = StoredTensor([Int32(4), 7], dtype: .i32)
        #expect(stored.operand() == nil)
        #expect(stored.array(of: Int32.self) == [4, 7])
    }
}
