import CompressionCore
import Kernels
import MatrixCore
import SVDCompression
import Safetensors
import TensorTrainCompression

/// A layer as a low-rank part and a sparse part: W' = L + S.
///
/// L is any other compressed operator, stored as it would be by itself; S is stored as its values and the smaller form
/// of their positions (`PositionLayout`) and multiplied without becoming dense.
public struct SatenOperator: LinearOperator {
    public static let schema = "SatenLinear"

    /// L (m × n).
    public let lowRank: any LinearOperator
    public let pattern: SatenPattern
    /// One number for each entry of S, row by row: [entries], or [m, kept of every row] for groups.
    public let values: StoredTensor
    private let positions: [OperatorTensor]
    /// Where the entries of S stand.
    let places: SparsePositions
    /// S (m × n).
    private let sparse: SparseMatrix

    /// The schemas that a low-rank part may have.
    static let lowRankSchemas = OperatorLibrary([FactorOperator.self, PivotOperator.self, TensorTrainOperator.self])

    /// - Parameters:
    ///   - values: one for each position.
    ///   - type: what they are rounded to.
    init(
        _ lowRank: any LinearOperator, _ pattern: SatenPattern, _ entries: SparsePositions, values: [Double],
        storedAs type: ElementType
    ) {
        self.lowRank = lowRank
        self.pattern = pattern
        let layout = PositionLayout(pattern, rows: entries.rows, columns: entries.columns, entries: entries.count)
        let numbers = Matrix64(rows: 1, columns: values.count, elements: values)
        self.values = StoredTensor(
            MatrixOperand(numbers), as: type,
            shape: pattern.valueShape(rows: entries.rows, columns: entries.columns, entries: entries.count))
        positions = layout.tensors(of: entries)
        places = entries
        sparse = SparseMatrix(entries, values: self.values)
    }

    public init(reading source: OperatorSource) throws(OperatorError) {
        let text = try source.word("pattern")
        let count = try source.integer("nnz")
        guard let pattern = SatenPattern(text) else {
            throw .badEntry(module: source.module, key: "pattern", expected: "topk or n:m with n below m")
        }
        guard let entry = source.entry["low_rank"], entry["schema"]?.string != nil else {
            throw .badEntry(module: source.module, key: "low_rank", expected: "the entry of another schema")
        }
        let lowRank = try Self.lowRankSchemas.read(source.with(entry: entry))
        let size = (rows: lowRank.outFeatures, columns: lowRank.inFeatures)
        if case .groups = pattern, pattern.entries(rows: size.rows, columns: size.columns) != count {
            throw .badEntry(
                module: source.module, key: "nnz", expected: "what \(text) leaves of \(size.rows) × \(size.columns)")
        }
        guard count <= size.rows * size.columns else {
            throw .badEntry(module: source.module, key: "nnz", expected: "at most \(size.rows) × \(size.columns)")
        }
        values = try source.numbers(
            "sparse.values", shape: pattern.valueShape(rows: size.rows, columns: size.columns, entries: count))
        let entries = try SparsePositions(reading: source, pattern, size: size, count: count)
        self.lowRank = lowRank
        self.pattern = pattern
        positions = PositionLayout(pattern, rows: size.rows, columns: size.columns, entries: count).tensors(of: entries)
        places = entries
        sparse = SparseMatrix(entries, values: values)
    }

    public var outFeatures: Int { sparse.rows }
    public var inFeatures: Int { sparse.columns }
    /// Entries of S.
    public var entries: Int { sparse.count }
    public var macs: Int { lowRank.macs + entries }
    public func macs(tokens: Int) -> Double { lowRank.macs(tokens: tokens) + Double(tokens) * Double(entries) }
    public var entry: JSONObject {
        SatenForm.entry(lowRank: lowRank.schema, lowRank.entry, pattern, entries: entries)
    }

    public var tensors: [OperatorTensor] {
        lowRank.tensors + [OperatorTensor("sparse.values", values)] + positions
    }

    public func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        lowRank.apply(x, into: y)
        sparse.multiply(x, addingTo: y)
    }

    public func reconstruct() -> Matrix {
        var weight = lowRank.reconstruct()
        sparse.add(to: weight.mutableView())
        return weight
    }

    /// T − S for a matrix T (m × n).
    func withoutSparsePart(_ matrix: MatrixOperand) -> Matrix {
        var rest = Matrix(uninitializedRows: matrix.rows, columns: matrix.columns)
        convert(matrix, into: MutableMatrixOperand(rest.mutableView()))
        sparse.add(to: rest.mutableView(), scale: -1)
        return rest
    }
}

extension SatenPattern {
    func valueShape(rows: Int, columns: Int, entries: Int) -> [Int] {
        switch self {
        case .topk: [entries]
        case .groups(let kept, let size): [rows, columns / size * kept]
        }
    }
}

extension SparseMatrix {
    fileprivate init(_ entries: SparsePositions, values: StoredTensor) {
        guard let numbers = values.operand(leadingAxes: 0) else {
            preconditionFailure("values that are no numbers were refused")
        }
        self.init(
            rows: entries.rows, columns: entries.columns, offsets: entries.offsets, positions: entries.positions,
            values: numbers)
    }
}
