import Testing

@testable import MatrixCore

@Suite struct MatrixTests {
    @Test func copiesAreIndependent() {
        let original = Matrix(rows: 2, columns: 2, elements: [1, 2, 3, 4])
        var copy = original
        copy[0, 0] = 9
        #expect(original[0, 0] == 1)
        #expect(copy.elements == [9, 2, 3, 4])
    }

    @Test func aViewOutlivesItsMatrix() {
        func make() -> MatrixView<Float> { Matrix(rows: 1, columns: 3, elements: [1, 2, 3]).view }
        let view = make()
        #expect((0..<3).map { view[0, $0] } == [1, 2, 3])
    }

    @Test func blocksAndTransposesShareMemory() {
        let matrix = Matrix(rows: 3, columns: 4) { Float($0 * 10 + $1) }
        let block = matrix.view.block(rows: 1..<3, columns: 2..<4).transposed
        #expect(Matrix(block).elements == [12, 22, 13, 23])
        #expect(MatrixOperand(matrix).block(rows: 1..<3, columns: 2..<4).transposed[1, 0] == 13)
    }

    @Test func permutedTensorsMoveTheirAxes() {
        let tensor = Tensor<Float>(shape: [2, 3, 4], elements: (0..<24).map(Float.init))
        let moved = tensor.permuted([2, 0, 1])
        #expect(moved.shape == [4, 2, 3])
        #expect(moved.matrix(leadingAxes: 2)[3, 2] == 21)  // (1, 1, 2) was (1, 2, 1)
        #expect(tensor.permuted([0, 1, 2]).elements == tensor.elements)
        #expect(Tensor<Float>(shape: [], elements: [5]).permuted([]).elements == [5])
    }
}
