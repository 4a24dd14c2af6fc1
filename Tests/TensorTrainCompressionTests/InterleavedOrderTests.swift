import MatrixCore
import Testing

@testable import TensorTrainCompression

@Suite struct InterleavedOrderTests {
    static let modes = [
        TrainModes(outputs: [4, 6], inputs: [5, 3]), TrainModes(outputs: [2, 3, 2], inputs: [3, 2, 5]),
        TrainModes(splitOutputs: [4, 3], inputs: [2, 5]), TrainModes(outputs: [7, 1], inputs: [1, 9]),
        TrainModes(outputs: [1, 13], inputs: [11, 1]), TrainModes(outputs: [6], inputs: [5]),
        TrainModes(outputs: [3, 4, 1], inputs: [2, 1, 3]), TrainModes(outputs: [65, 2], inputs: [2, 33]),
    ]

    @Test(arguments: modes)
    func elementsMoveToTheirPositions(modes: TrainModes) {
        let weight = Oracle.weight(modes.outFeatures, modes.inFeatures)
        let order = InterleavedOrder(modes)
        let turned = Matrix(weight.view.transposed)
        for operand in [MatrixOperand(weight), MatrixOperand(turned).transposed] {
            let tensor = order.tensor(of: operand)
            #expect(tensor.rows == modes.sizes[0])
            let elements = tensor.elements
            for i in 0..<weight.rows {
                for j in 0..<weight.columns {
                    #expect(elements[Oracle.position(i, j, modes)] == weight[i, j])
                }
            }
            #expect(order.matrix(of: MatrixOperand(tensor)) == weight)
        }
    }
}
