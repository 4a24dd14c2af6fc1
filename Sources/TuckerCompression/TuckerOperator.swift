import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// A layer as a member of a Tucker form: W' = (I ⊗ U₂) C_k U₃ᵀ, or the transpose of it for an output projection.
///
/// A matrix alone is W' = U₁ C U₂. A member of a stack has its own core, or a combination of the cores that the members
/// share; the factors of rows and columns are stored once for the group. `apply` multiplies by the factor of one side,
/// the core and the factor of the other, so nothing of the size of W is ever formed; a combination of cores is formed
/// once, when the operator is made.
///
/// - Storage: see `TuckerStorage`. In config.json: `ranks` by axis of the core; for stacks `group` (the module name of
///   the first member), `slice` (the member), `whole` (axes without a factor); for attention `heads` and `axis`, the
///   side of the weight that is divided into heads; `pivot` where factors are stored by pivots, which are put back in
///   their rows when the operator is made.
public struct TuckerOperator: SharedInputOperator {
    public static let schema = "TuckerLinear"

    public let tensors: [OperatorTensor]
    public let entry: JSONObject
    /// The group, for members that stand as they are stored and have a factor of their inputs.
    public let sharedInputKey: String?
    let map: TuckerMap
    /// Which member of what group this is, and the tensors of the group in the order of its parts.
    let member: Int
    let storage: TuckerStorage
    let parts: [StoredTensor]

    /// - Parameter parts: the tensors of `storage`, in its order.
    init(member: Int, of storage: TuckerStorage, parts: [StoredTensor]) throws(OperatorError) {
        self.member = member
        self.storage = storage
        self.parts = parts
        entry = storage.entry(member: member)
        tensors = zip(storage.parts, parts).map {
            OperatorTensor($0.name, $1, scope: storage.scope, isIndex: $0.isIndex)
        }
        map = try TuckerMap(member: member, of: storage, parts: parts)
        let shares = storage.layout.members > 1 && !map.isTransposed && map.columnFactor != nil
        sharedInputKey = shares ? storage.group : nil
    }

    public init(reading source: OperatorSource) throws(OperatorError) {
        let reader = try TuckerReader(source)
        try self.init(member: reader.member, of: reader.storage, parts: reader.parts)
    }

    public var outFeatures: Int { map.isTransposed ? map.width : map.height }
    public var inFeatures: Int { map.isTransposed ? map.height : map.width }
    public var macs: Int { map.macs }

    public func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        map.apply(x, into: y)
    }

    public func reconstruct() -> Matrix { map.reconstruct() }

    public var sharedFeatures: Int { map.core.columns }

    public func multiplyShared(_ x: MatrixView<Float>, into bond: MutableMatrixView<Float>) {
        precondition(sharedInputKey != nil, "there is no first step to share")
        if let factor = map.columnFactor { multiply(MatrixOperand(x), factor, into: bond) }
    }

    public func apply(bond: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        precondition(sharedInputKey != nil, "there is no first step to share")
        map.apply(bond: bond, into: y)
    }
}

/// The multiplication of a member: S' = (I ⊗ U₂) C U₃ᵀ (height × width), or its transpose.
struct TuckerMap: Sendable {
    let heads: Int
    let isTransposed: Bool
    /// U₂ (rows × r₂); nil where the rows are kept whole.
    let rowFactor: MatrixOperand?
    /// C (heads·r₂ × r₃).
    let core: MatrixOperand
    /// U₃ (width × r₃); nil where the columns are kept whole.
    let columnFactor: MatrixOperand?

    var height: Int { rowFactor.map { heads * $0.rows } ?? core.rows }
    var width: Int { columnFactor?.rows ?? core.columns }

    var macs: Int {
        core.rows * core.columns + (rowFactor.map { heads * $0.rows * $0.columns } ?? 0)
            + (columnFactor.map { $0.rows * $0.columns } ?? 0)
    }

    init(member: Int, of storage: TuckerStorage, parts: [StoredTensor]) throws(OperatorError) {
        let layout = storage.layout
        var factors: [TuckerMode: MatrixOperand] = [:]
        var core: StoredTensor?
        let pivots = storage.pivots(parts)
        for (part, tensor) in zip(storage.parts, parts) where !part.isIndex {
            var stored = tensor
            if let rows = part.mode.flatMap({ pivots[$0] }) { stored = tensor.withIdentity(in: rows) }
            guard let operand = stored.operand() else { throw .missingTensor(part.name) }
            if let mode = part.mode { factors[mode] = operand.narrowed } else { core = tensor }
        }
        guard let core else { throw .missingTensor("the core of \(storage.group)") }
        heads = layout.heads
        isTransposed = layout.transposed[member]
        rowFactor = factors[.rows]
        let isStoredWide = layout.kind == .matrix && layout.storage == .factors
        columnFactor = isStoredWide ? factors[.columns]?.transposed : factors[.columns]
        self.core = try TuckerMemberCore(storage: storage, stored: core, members: factors[.members])
            .core(of: member).narrowed
    }

    func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        if isTransposed {
            let bond = multiplied(blocks(of: x, by: rowFactor), core)
            multiply(MatrixOperand(bond), columnFactor, into: y)
        } else {
            apply(bond: columnBond(x), into: y)
        }
    }

    /// x U₃ (tokens × r₃).
    private func columnBond(_ x: MatrixView<Float>) -> MatrixView<Float> {
        guard let columnFactor else { return x }
        return multiplied(x, columnFactor)
    }

    /// y ← bond · Cᵀ · (I ⊗ U₂ᵀ)
    func apply(bond: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        guard let rowFactor else { return Kernels.multiply(MatrixOperand(bond), core.transposed, into: y) }
        let inner = multiplied(bond, core.transposed)  // (tokens × heads·r₂)
        let rank = rowFactor.columns, rows = rowFactor.rows
        if heads == 1 || y.rowStride == y.columns {
            // All heads of a token lie behind each other: one product.
            Kernels.multiply(
                MatrixOperand(inner.folded(into: heads)), rowFactor.transposed, into: y.folded(into: heads))
        } else {
            for head in 0..<heads {
                Kernels.multiply(
                    MatrixOperand(inner.columns(head * rank..<(head + 1) * rank)), rowFactor.transposed,
                    into: y.columns(head * rows..<(head + 1) * rows))
            }
        }
    }

    /// x (I ⊗ U₂) (tokens × heads·r₂)
    private func blocks(of x: MatrixView<Float>, by factor: MatrixOperand?) -> MatrixView<Float> {
        guard let factor else { return x }
        var result = Matrix(uninitializedRows: x.rows, columns: heads * factor.columns)
        let target = result.mutableView()
        for head in 0..<heads {
            Kernels.multiply(
                MatrixOperand(x.columns(head * factor.rows..<(head + 1) * factor.rows)), factor,
                into: target.columns(head * factor.columns..<(head + 1) * factor.columns))
        }
        return target.readable
    }

    private func multiplied(_ x: MatrixView<Float>, _ factor: MatrixOperand) -> MatrixView<Float> {
        var result = Matrix(uninitializedRows: x.rows, columns: factor.columns)
        Kernels.multiply(MatrixOperand(x), factor, into: result.mutableView())
        return result.view
    }

    /// y ← x U₃ᵀ
    private func multiply(_ x: MatrixOperand, _ factor: MatrixOperand?, into y: MutableMatrixView<Float>) {
        if let factor {
            Kernels.multiply(x, factor.transposed, into: y)
        } else {
            convert(x, into: MutableMatrixOperand(y))
        }
    }

    func reconstruct() -> Matrix {
        let left = rowFactor.map { MatrixOperand(core.blockProduct($0, rowsPerBlock: $0.columns)) } ?? core
        var result = Matrix(uninitializedRows: outFeatures, columns: inFeatures)
        let target = isTransposed ? result.mutableView().transposed : result.mutableView()
        multiply(left, columnFactor, into: target)
        return result
    }

    private var outFeatures: Int { isTransposed ? width : height }
    private var inFeatures: Int { isTransposed ? height : width }
}

extension MatrixView<Float> {
    /// (rows × parts·n) without gaps as (rows·parts × n).
    fileprivate func folded(into parts: Int) -> Self {
        if parts == 1 { return self }
        return Self(
            base: base, rows: rows * parts, columns: columns / parts, rowStride: columns / parts, owner: owner)
    }
}

extension MutableMatrixView<Float> {
    fileprivate func folded(into parts: Int) -> Self {
        if parts == 1 { return self }
        return Self(
            base: base, rows: rows * parts, columns: columns / parts, rowStride: columns / parts, owner: owner)
    }
}
