import Kernels
import MatrixCore
import Safetensors

/// A weight left as it is: W (m × n) in its stored type.
public struct DenseOperator: LinearOperator {
    public static let schema = "Linear"

    /// W (m × n), any strides: GPT-2 stores the transpose.
    public let weight: MatrixOperand

    public init(weight: MatrixOperand) {
        self.weight = weight
    }

    public init(reading source: OperatorSource) throws(OperatorError) {
        let stored = try source.numbers("weight", shape: [nil, nil])
        guard let operand = stored.operand() else { throw .missingTensor("\(source.module).weight") }
        weight = operand
    }

    public var outFeatures: Int { weight.rows }
    public var inFeatures: Int { weight.columns }
    public var macs: Int { weight.rows * weight.columns }
    public var entry: JSONObject { JSONObject() }

    public var tensors: [OperatorTensor] {
        [OperatorTensor("weight", StoredTensor(weight, as: weight.type))]
    }

    public func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        multiply(MatrixOperand(x), weight.transposed, into: y)
    }

    public func reconstruct() -> Matrix {
        var result = Matrix(uninitializedRows: weight.rows, columns: weight.columns)
        convert(weight, into: MutableMatrixOperand(result.mutableView()))
        return result
    }
}
