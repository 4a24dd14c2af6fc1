import Kernels
import MatrixCore
import Safetensors

/// An operator whose stored numbers can be trained.
///
/// W' is a function of the stored numbers, and a loss depends on them through W' alone. So a batch of tokens gives
/// ∂L/∂W' (m × n) by one product, gradientᵀ · input, whatever the method is, and the operator carries it on to its
/// tensors: once for a step, however many tokens it has. The gradient towards the input is gradient · W'.
///
/// - Cost of training a layer: that of the dense one. With the hundreds of tokens of a step, products with W' are large
///   and fast, and nothing of a method's own contraction has to be kept for the way back.
public protocol TrainableOperator: LinearOperator {
    /// ∂L/∂t of every tensor of numbers, in the order of `tensors`, positions left out.
    ///
    /// - Parameter gradient: ∂L/∂W' (m × n).
    /// - Returns: matrices with as many numbers as the tensor and its first axis as rows.
    func tensorGradients(ofWeight gradient: MatrixView<Float>) -> [Matrix]
}

extension LinearOperator {
    /// The tensors that hold numbers and no positions.
    public var numbers: [OperatorTensor] { tensors.filter { !$0.isIndex } }

    /// The operator with other numbers in place of its own, positions and entry as they are.
    ///
    /// - Parameters:
    ///   - module: the name that the operator has in the checkpoint.
    ///   - replacements: by full name; tensors that are not among them stay.
    /// - Throws: what reading such tensors from a checkpoint throws.
    public func replacing(
        module: String, _ replacements: [String: StoredTensor]
    ) throws(OperatorError) -> Self {
        var own: [String: StoredTensor] = [:]
        for tensor in tensors { own[tensor.fullName(in: module)] = tensor.tensor }
        let source = OperatorSource(module: module, entry: .object(entry)) { (name) throws(OperatorError) in
            replacements[name] ?? own[name]
        }
        return try Self(reading: source)
    }
}

extension StoredTensor {
    /// The numbers in Float, the first axis as rows; nil for types that are no numbers.
    public var floats: Matrix? {
        guard let source = operand(leadingAxes: min(1, shape.count)) else { return nil }
        var result = Matrix(uninitializedRows: source.rows, columns: source.columns)
        convert(source, into: MutableMatrixOperand(result.mutableView()))
        return result
    }
}
