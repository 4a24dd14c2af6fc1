import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// A layer in a basis that it shares with others: W' = C B with C (m × r) its own and B (r × n) one for the group.
///
/// Storage is m·r numbers a layer beside the basis, multiply-adds are r(m + n): y = C (B x). Experts that a token
/// chooses compute B x once between them.
///
/// - Storage: `<m>.coefficients` [m, r]; the basis as `SharedBasis` has it. In config.json: `rank`, `basis` (the module
///   name of the first member), `pivot` where the basis is stored by pivots.
/// - Source: Basis Sharing (arXiv 2410.03765).
public struct SharedBasisOperator: SharedInputOperator {
    public static let schema = "SharedBasisLinear"
    private static let coefficientsName = "coefficients"

    /// B.
    public let basis: SharedBasis
    /// C (m × r).
    public let coefficients: StoredTensor
    private let left: MatrixOperand

    /// - Parameters:
    ///   - coefficients: C (m × r).
    ///   - type: what they are rounded to.
    init(basis: SharedBasis, coefficients: MatrixOperand, storedAs type: ElementType) {
        precondition(basis.rank == coefficients.columns, "coefficients of another basis")
        self.basis = basis
        self.coefficients = StoredTensor(coefficients, as: type)
        left = MatrixOperand(stored: self.coefficients, type: type)
    }

    public init(reading source: OperatorSource) throws(OperatorError) {
        let rank = try source.integer("rank")
        basis = try SharedBasis(
            group: try source.word("basis"), rank: rank, isPivoted: source.entry["pivot"]?.bool == true, source)
        coefficients = try source.numbers(Self.coefficientsName, shape: [nil, rank])
        guard let left = coefficients.operand() else {
            throw .missingTensor("\(source.module).\(Self.coefficientsName)")
        }
        self.left = left
    }

    public var outFeatures: Int { left.rows }
    public var inFeatures: Int { basis.features }
    public var macs: Int { basis.macs + left.rows * left.columns }

    public var entry: JSONObject { Self.entry(rank: basis.rank, group: basis.group, isPivoted: basis.isPivoted) }

    static func entry(rank: Int, group: String, isPivoted: Bool) -> JSONObject {
        var entry: JSONObject = ["rank": JSON(rank), "basis": JSON(group)]
        if isPivoted { entry["pivot"] = true }
        return entry
    }

    public var tensors: [OperatorTensor] { basis.tensors + [OperatorTensor(Self.coefficientsName, coefficients)] }

    /// The tensors of a member before it exists; those of the basis are listed by every member.
    static func planned(
        _ member: GroupMember, rank: Int, group: String, storage: MethodSettings.Storage, basisType: ElementType
    ) -> [PlannedTensor] {
        let type = TensorDType(basisType), name = SharedBasis.name(of: group)
        let own = PlannedTensor(coefficientsName, TensorDType(member.factorType), [member.outFeatures, rank])
        switch storage {
        case .factors:
            return [PlannedTensor(name, type, [rank, member.inFeatures], scope: .checkpoint), own]
        case .pivot:
            return [
                PlannedTensor(name, type, [member.inFeatures - rank, rank], scope: .checkpoint),
                PlannedTensor(
                    SharedBasis.positionsName(of: group), .i32, [rank], scope: .checkpoint, isIndex: true), own,
            ]
        }
    }

    public func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        var bond = Matrix(uninitializedRows: x.rows, columns: basis.rank)  // (tokens × r)
        multiplyShared(x, into: bond.mutableView())
        apply(bond: bond.view, into: y)
    }

    public func reconstruct() -> Matrix { basis.product(left) }

    // MARK: The shared step

    public var sharedInputKey: String? { basis.group }
    public var sharedFeatures: Int { basis.rank }

    public func multiplyShared(_ x: MatrixView<Float>, into bond: MutableMatrixView<Float>) {
        basis.multiply(x, into: bond)
    }

    public func apply(bond: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        multiply(MatrixOperand(bond), left.transposed, into: y)
    }
}

extension SharedBasisOperator: RefittableOperator {
    public func refitted(to objective: Objective) throws -> SharedBasisOperator {
        let fit = try SharedBasisFit(basis: basis.rows).coefficients(for: objective)
        return SharedBasisOperator(basis: basis, coefficients: MatrixOperand(fit), storedAs: left.type)
    }
}
