import MatrixCore
import Safetensors

/// What a linear layer is after compression: something that maps n input features to m output features.
///
/// The transformer runtime, `verify` and `reconstruct` know only this protocol, so none of them has a line about a
/// method. A dense weight is an operator too (`DenseOperator`). The bias is not part of it: it is added by the layer.
///
/// An operator lists the tensors that it is stored as and the numbers that config.json needs to read them back, and is
/// made from these again; that is the whole file format of a method.
public protocol LinearOperator: Sendable {
    /// Name of the storage schema in config.json, for example "ABLinear".
    static var schema: String { get }

    /// What the bias of a module is called behind the module's name; "bias" unless a published layout says otherwise.
    static var biasName: String { get }

    /// m.
    var outFeatures: Int { get }
    /// n.
    var inFeatures: Int { get }

    /// Multiply-adds per token of the contraction that `apply` executes, padding included.
    var macs: Int { get }

    /// Multiply-adds of a batch, where `apply` contracts in another way for many tokens. A Double, because that of a
    /// contraction that no one would choose may be beyond any Int.
    func macs(tokens: Int) -> Double

    /// The tensors of the operator, in the order they are written.
    var tensors: [OperatorTensor] { get }

    /// What config.json says of the module beside its schema, for example `{"rank": 64}`.
    var entry: JSONObject { get }

    /// y ← x · W'ᵀ.
    /// - Parameters:
    ///   - x: tokens (T × n).
    ///   - y: (T × m), overwritten.
    func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>)

    /// W' (m × n), computed in Float from the factors as stored.
    func reconstruct() -> Matrix

    /// Reads the operator of a module back.
    /// - Throws: `OperatorError` where a tensor is missing or does not fit the entry or the others.
    init(reading source: OperatorSource) throws(OperatorError)
}

extension LinearOperator {
    public static var biasName: String { "bias" }

    public var schema: String { Self.schema }
    public var biasName: String { Self.biasName }

    public func macs(tokens: Int) -> Double { Double(tokens) * Double(macs) }

    /// Numbers stored, positions not counted; tensors shared with other operators are counted in full.
    public var parameters: Int {
        tensors.reduce(0) { $0 + ($1.isIndex ? 0 : $1.tensor.elementCount) }
    }

    /// Bytes stored, positions included; tensors shared with other operators are counted in full.
    public var bytes: Int {
        tensors.reduce(0) { $0 + $1.tensor.byteCount }
    }
}

/// A tensor of an operator with its place in the checkpoint.
public struct OperatorTensor: Sendable {
    /// Whose name the tensor carries.
    public enum Scope: Sendable, Equatable {
        /// `<module>.<name>`.
        case module
        /// `<name>` alone: several operators hold it, the checkpoint once.
        case checkpoint
    }

    public let name: String
    public let scope: Scope
    public let tensor: StoredTensor
    /// Positions and bit maps, which cost bytes and are no parameters.
    public let isIndex: Bool

    public init(_ name: String, _ tensor: StoredTensor, scope: Scope = .module, isIndex: Bool = false) {
        self.name = name
        self.tensor = tensor
        self.scope = scope
        self.isIndex = isIndex
    }

    /// The name in the checkpoint.
    public func fullName(in module: String) -> String {
        scope == .module ? "\(module).\(name)" : name
    }
}
