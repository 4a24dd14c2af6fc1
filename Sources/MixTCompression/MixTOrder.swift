import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// Which row and column of a matrix stands at every place of a MixT form.
///
/// The windows of MixT tie neighbouring rows and columns together, so what is lost depends on their order, which the
/// model leaves free: the numbers of the branches stay as many, and a token is gathered and scattered once.
///
/// - Storage: two lists of positions, I32, which are bytes and no parameters.
/// - Departure: arXiv 2605.25344 keeps the natural order. Permuting the hidden units of a feed-forward network in its
///   three matrices at once would need no positions; an order of its own for each side of each matrix loses less, and
///   also serves attention.
public struct MixTOrder: Sendable, Equatable {
    /// Place i of the form holds row `rows[i]` (m).
    public let rows: [Int]
    /// Place j of the form holds column `columns[j]` (n).
    public let columns: [Int]

    /// What config.json says of a stored order.
    static let word = MixTCompressor.OrderChoice.fitted.rawValue

    /// - Parameters: permutations of 0 ..< m and 0 ..< n.
    init(rows: [Int], columns: [Int]) {
        self.rows = rows
        self.columns = columns
    }

    // MARK: Storage

    private static let rowsName = "mixt.rows"
    private static let columnsName = "mixt.columns"

    var tensors: [OperatorTensor] {
        [(Self.rowsName, rows), (Self.columnsName, columns)].map { name, places in
            OperatorTensor(name, StoredTensor(places.map(Int32.init), dtype: .i32), isIndex: true)
        }
    }

    static func plannedTensors(_ form: MixTForm) -> [PlannedTensor] {
        [
            PlannedTensor(rowsName, .i32, [form.rows], isIndex: true),
            PlannedTensor(columnsName, .i32, [form.columns], isIndex: true),
        ]
    }

    /// The order stored beside the branches; nil where the entry names none.
    init?(reading source: OperatorSource, form: MixTForm) throws(OperatorError) {
        guard source.entry["order"] != nil else { return nil }
        guard try source.word("order") == Self.word else {
            throw .badEntry(module: source.module, key: "order", expected: "\"\(Self.word)\", or nothing")
        }
        rows = try source.permutation(Self.rowsName, count: form.rows)
        columns = try source.permutation(Self.columnsName, count: form.columns)
    }

    // MARK: Use

    /// x with its columns at their places (tokens × n).
    func gatheringColumns(of x: MatrixView<Float>) -> Matrix {
        var gathered = Matrix(uninitializedRows: x.rows, columns: x.columns)
        let target = gathered.mutableView()
        parallelFor(x.rows) { token in
            for (place, column) in columns.enumerated() { target[token, place] = x[token, column] }
        }
        return gathered
    }

    /// y[t, rows[i]] ← placed[t, i], both (tokens × m).
    func scatterRows(_ placed: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        parallelFor(placed.rows) { token in
            for (place, row) in rows.enumerated() { y[token, row] = placed[token, place] }
        }
    }

    /// A matrix of the model (m × n) with its rows and columns at their places in the form.
    func placed(_ weight: MatrixOperand) -> Matrix64 {
        Matrix64(rows: weight.rows, columns: weight.columns) { weight[rows[$0], columns[$1]] }
    }

    /// A matrix of the form (m × n) with its rows and columns where the model has them.
    func restored<Element: MatrixElement>(_ placed: DenseMatrix<Element>) -> DenseMatrix<Element> {
        var restored = DenseMatrix<Element>(uninitializedRows: placed.rows, columns: placed.columns)
        let target = restored.mutableView()
        let source = placed.view
        parallelFor(placed.rows) { place in
            for (position, column) in columns.enumerated() { target[rows[place], column] = source[place, position] }
        }
        return restored
    }
}

extension OperatorSource {
    /// Every position below `count` once.
    fileprivate func permutation(_ name: String, count: Int) throws(OperatorError) -> [Int] {
        let fullName = "\(module).\(name)"
        let tensor = try tensor(name)
        guard tensor.dtype == .i32 else {
            throw .wrongType(fullName, expected: "I32", found: tensor.dtype.rawValue)
        }
        guard tensor.shape == [count] else {
            throw .wrongShape(fullName, expected: "[\(count)]", found: tensor.shape)
        }
        let positions = tensor.array(of: Int32.self).map(Int.init)
        var isFound = [Bool](repeating: false, count: count)
        for position in positions {
            guard isFound.indices.contains(position), !isFound[position] else {
                throw .badIndex(fullName, "position \(position) is not below \(count), or stands there twice")
            }
            isFound[position] = true
        }
        return positions
    }
}
