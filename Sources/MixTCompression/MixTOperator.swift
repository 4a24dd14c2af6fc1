import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// A layer as the average of N overlapping local maps (`MixTForm`).
///
/// A branch works on x seen as (tokens, A, q, B) along the axis of length q. Transposed once to (A, q, B, tokens),
/// every copy outside of the window is one contiguous matrix (q × B·tokens), so a branch is A products with the same
/// T_k and no element of x is moved again.
public struct MixTOperator: LinearOperator {
    public static let schema = "MixTLinear"

    public let form: MixTForm
    /// Which row and column of W' stands at every place of the form; nil where each stands at its own.
    public let order: MixTOrder?
    /// T_0 … T_(N−1), each (p × q).
    public let branches: [StoredTensor]
    /// The same, as the kernels read them.
    private let factors: [MatrixOperand]

    /// - Parameters:
    ///   - values: T_0 … T_(N−1), each (p × q).
    ///   - order: of the rows and columns, where it is not the natural one.
    ///   - type: what the branches are rounded to.
    public init(
        _ form: MixTForm, branches values: [MatrixOperand], order: MixTOrder? = nil, storedAs type: ElementType
    ) {
        precondition(
            order.map { $0.rows.count == form.rows && $0.columns.count == form.columns } ?? true,
            "an order of another shape")
        precondition(values.count == form.branches, "another number of branches")
        precondition(
            values.allSatisfy { $0.rows == form.branchRows && $0.columns == form.branchColumns },
            "branches of another shape")
        self.form = form
        self.order = order
        branches = values.map { StoredTensor($0, as: type) }
        factors = branches.compactMap { $0.multiplicand() }
    }

    public init(reading source: OperatorSource) throws(OperatorError) {
        let base = try source.integer("base")
        let count = try source.integer("branches")
        let size = try source.integers("size")
        let padded = try source.integers("padded")
        guard size.count == 2 else {
            throw .badEntry(module: source.module, key: "size", expected: "two positive whole numbers")
        }
        guard padded.count == 2,
            let form = MixTForm(
                base: base, branches: count, size: (size[0], size[1]), padded: (padded[0], padded[1]))
        else {
            throw .badEntry(
                module: source.module, key: "padded",
                expected: "two multiples of base^branches, base 2 or more, that are not below \"size\"")
        }
        self.form = form
        var tensors: [StoredTensor] = []
        var factors: [MatrixOperand] = []
        for k in 0..<count {
            let tensor = try source.numbers(Self.tensorName(k), shape: [form.branchRows, form.branchColumns])
            guard let factor = tensor.multiplicand() else {
                throw .missingTensor("\(source.module).\(Self.tensorName(k))")
            }
            tensors.append(tensor)
            factors.append(factor)
        }
        branches = tensors
        self.factors = factors
        order = try MixTOrder(reading: source, form: form)
    }

    static func tensorName(_ branch: Int) -> String { "mixt.\(branch)" }

    public var outFeatures: Int { form.rows }
    public var inFeatures: Int { form.columns }
    public var macs: Int { form.macs }
    public var entry: JSONObject { form.entry(ordered: order != nil) }

    public var tensors: [OperatorTensor] {
        branches.enumerated().map { OperatorTensor(Self.tensorName($0), $1) } + (order?.tensors ?? [])
    }

    public func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        let tokens = x.rows
        guard tokens > 0 else { return }
        var input = Matrix(uninitializedRows: form.paddedColumns, columns: tokens)  // xᵀ (K × tokens)
        let source = input.mutableView()
        let ordered = order.map { $0.gatheringColumns(of: x) }
        convert(
            MatrixOperand(ordered?.view ?? x).transposed,
            into: MutableMatrixOperand(source.rows(0..<form.columns)))
        let padding = (form.paddedColumns - form.columns) * tokens
        (source.base + form.columns * tokens).update(repeating: 0, count: padding)
        var output = Matrix(uninitializedRows: form.paddedRows, columns: tokens)  // yᵀ (M × tokens)
        let target = output.mutableView()
        for (k, factor) in factors.enumerated() { apply(k, factor, source.readable, target) }
        let result = MatrixOperand(target.readable.rows(0..<form.rows)).transposed  // (tokens × m)
        guard let order else { return convert(result, into: MutableMatrixOperand(y)) }
        var placed = Matrix(uninitializedRows: tokens, columns: form.rows)
        convert(result, into: MutableMatrixOperand(placed.mutableView()))
        order.scatterRows(placed.view, into: y)
    }

    /// y ← (1/N) (I ⊗ T_k ⊗ I) x for the first branch, y ← y + … for the others; x (K × tokens), y (M × tokens).
    private func apply(_ k: Int, _ factor: MatrixOperand, _ x: MatrixView<Float>, _ y: MutableMatrixView<Float>) {
        let outer = form.outer(k)
        let width = form.inner(k) * x.columns
        let scale = 1 / Float(form.branches)
        let multiplyCopy: @Sendable (Int) -> Void = { a in
            let source = MatrixView(
                base: x.base + a * form.branchColumns * width, rows: form.branchColumns, columns: width,
                rowStride: width,
                owner: x.owner)
            let target = MutableMatrixView(
                base: y.base + a * form.branchRows * width, rows: form.branchRows, columns: width, rowStride: width,
                owner: y.owner)
            multiply(factor, MatrixOperand(source), into: target, alpha: scale, beta: k == 0 ? 0 : 1)
        }
        if outer >= Self.sharedCopies && factor.rows * factor.columns * width >= Self.sharedProducts {
            parallelFor(outer, multiplyCopy)
        } else {
            for a in 0..<outer { multiplyCopy(a) }
        }
    }

    /// From this many copies on, threads take whole products rather than parts of each, which are then few and uneven.
    private static let sharedCopies = 4
    /// Below this many multiply-adds a product, waking another thread costs more than it saves.
    private static let sharedProducts = 1 << 18

    public func reconstruct() -> Matrix {
        let values = factors.map { factor in
            var value = Matrix(uninitializedRows: factor.rows, columns: factor.columns)
            convert(factor, into: MutableMatrixOperand(value.mutableView()))
            return value
        }
        var weight = Matrix(uninitializedRows: form.rows, columns: form.columns)
        form.expand(values, into: weight.mutableView())
        return order?.restored(weight) ?? weight
    }
}

extension MixTForm {
    /// What config.json says of the form.
    ///
    /// - Parameter ordered: whether the places of the rows and columns are stored beside the branches.
    func entry(ordered: Bool) -> JSONObject {
        var entry: JSONObject = [
            "base": JSON(base), "branches": JSON(branches), "padded": [JSON(paddedRows), JSON(paddedColumns)],
            "size": [JSON(rows), JSON(columns)],
        ]
        if ordered { entry["order"] = JSON(MixTOrder.word) }
        return entry
    }
}

extension StoredTensor {
    /// The numbers as the products in Float read them: as stored, but Double rounded to Float.
    fileprivate func multiplicand() -> MatrixOperand? {
        guard let numbers = operand(), numbers.type == .float64 else { return operand() }
        return StoredTensor(numbers, as: .float32).operand()
    }
}
