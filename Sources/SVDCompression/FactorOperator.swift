import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// A low-rank layer as two factors: W' = A B with A (m × r) and B (r × n).
///
/// Storage is r(m + n) numbers and as many multiply-adds per token: y = A (B x). The tensor names and shapes are those of
/// the low-rank checkpoints that others have published, `BLinear` first, so their loaders read ours.
public struct FactorOperator: FactoredOperator {
    public static let schema = "ABLinear"
    public static let biasName = "ALinear.bias"

    /// A (m × r).
    public let a: StoredTensor
    /// B (r × n).
    public let b: StoredTensor
    private let left: MatrixOperand
    private let right: MatrixOperand

    /// - Parameters:
    ///   - a: (m × r).
    ///   - b: (r × n).
    ///   - type: what both are rounded to.
    public init(a: MatrixOperand, b: MatrixOperand, storedAs type: ElementType) {
        precondition(a.columns == b.rows, "factors of different rank")
        self.a = StoredTensor(a, as: type)
        self.b = StoredTensor(b, as: type)
        left = MatrixOperand(stored: self.a, type: type)
        right = MatrixOperand(stored: self.b, type: type)
    }

    public init(reading source: OperatorSource) throws(OperatorError) {
        let rank = try source.integer("rank")
        b = try source.numbers("BLinear.weight", shape: [rank, nil])
        a = try source.numbers("ALinear.weight", shape: [nil, rank])
        guard let left = a.operand(), let right = b.operand() else {
            throw .missingTensor("\(source.module).ALinear.weight")
        }
        self.left = left
        self.right = right
    }

    public var factors: Factors { Factors(left: left, right: right) }
    public var rank: Int { right.rows }
    public var outFeatures: Int { left.rows }
    public var inFeatures: Int { right.columns }
    public var macs: Int { rank * (outFeatures + inFeatures) }
    public var entry: JSONObject { ["rank": JSON(rank)] }

    public var tensors: [OperatorTensor] {
        [OperatorTensor("BLinear.weight", b), OperatorTensor("ALinear.weight", a)]
    }

    public func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        var inner = Matrix(uninitializedRows: x.rows, columns: rank)  // (tokens × r)
        multiply(MatrixOperand(x), right.transposed, into: inner.mutableView())
        multiply(MatrixOperand(inner), left.transposed, into: y)
    }

    public func reconstruct() -> Matrix {
        var result = Matrix(uninitializedRows: outFeatures, columns: inFeatures)
        multiply(left, right, into: result.mutableView())
        return result
    }
}

extension MatrixOperand {
    /// The numbers of a tensor with two axes that is known to hold `type`.
    init(stored tensor: StoredTensor, type: ElementType) {
        self.init(
            base: tensor.base, type: type, rows: tensor.shape[0], columns: tensor.shape[1], rowStride: tensor.shape[1],
            owner: tensor.owner)
    }
}
