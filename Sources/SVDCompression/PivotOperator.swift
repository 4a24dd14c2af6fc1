import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// A low-rank layer without the redundant numbers of two factors: r rows of W' as they are, and every other row as a
/// combination of them, W'_rest = C W'_pivot.
///
/// Storage is r(m + n − r) numbers and r positions; multiply-adds are as many as numbers: the outputs of the pivot rows
/// are computed once and all other outputs follow from them.
///
/// Source: PIFA (Zhao et al., ICML 2025), Section 3.
public struct PivotOperator: FactoredOperator {
    public static let schema = "PivotLinear"

    /// W'_pivot (r × n).
    public let pivot: StoredTensor
    /// C ((m − r) × r).
    public let rest: StoredTensor
    /// Rows of W' that are pivots (r), ascending; the others follow in ascending order.
    public let index: StoredTensor
    /// W'_pivot as numbers.
    let pivotRows: MatrixOperand
    let coefficients: MatrixOperand
    /// Output row of every pivot, then of every other row.
    let rows: [Int32]

    /// - Parameters:
    ///   - pivot: W'_pivot (r × n).
    ///   - rest: C ((m − r) × r).
    ///   - rows: the rows that are pivots, ascending.
    ///   - type: what both are rounded to.
    public init(pivot: MatrixOperand, rest: MatrixOperand, rows: [Int], storedAs type: ElementType) {
        precondition(pivot.rows == rest.columns && pivot.rows == rows.count, "parts of different rank")
        self.pivot = StoredTensor(pivot, as: type)
        self.rest = StoredTensor(rest, as: type)
        index = StoredTensor(rows.map(Int32.init), dtype: .i32)
        pivotRows = MatrixOperand(stored: self.pivot, type: type)
        coefficients = MatrixOperand(stored: self.rest, type: type)
        self.rows = Self.order(pivots: rows.map(Int32.init), count: pivot.rows + rest.rows)
    }

    public init(reading source: OperatorSource) throws(OperatorError) {
        let rank = try source.integer("rank")
        pivot = try source.numbers("pivot.weight", shape: [rank, nil])
        rest = try source.numbers("rest.weight", shape: [nil, rank])
        index = try source.tensor("pivot.index")
        guard let pivotRows = pivot.operand(), let coefficients = rest.operand() else {
            throw .missingTensor("\(source.module).pivot.weight")
        }
        self.pivotRows = pivotRows
        self.coefficients = coefficients
        let count = rank + coefficients.rows
        let pivots = try source.ascendingPositions("pivot.index", count: rank, below: count)
        rows = Self.order(pivots: pivots, count: count)
    }

    /// C and the identity, each row where it belongs in W', and the pivot rows.
    public var factors: Factors {
        var left = Matrix(rows: outFeatures, columns: rank)
        let target = left.mutableView()
        for pivot in 0..<rank { target[Int(rows[pivot]), pivot] = 1 }
        for (position, row) in rows.dropFirst(rank).enumerated() {
            convert(
                coefficients.rows(position..<position + 1),
                into: MutableMatrixOperand(target.rows(Int(row)..<Int(row) + 1)))
        }
        return Factors(left: MatrixOperand(left), right: pivotRows)
    }

    public var rank: Int { pivotRows.rows }
    public var outFeatures: Int { rows.count }
    public var inFeatures: Int { pivotRows.columns }
    public var macs: Int { rank * (outFeatures + inFeatures - rank) }
    public var entry: JSONObject { ["rank": JSON(rank)] }

    public var tensors: [OperatorTensor] {
        [
            OperatorTensor("pivot.weight", pivot), OperatorTensor("rest.weight", rest),
            OperatorTensor("pivot.index", index, isIndex: true),
        ]
    }

    public func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        var inner = Matrix(uninitializedRows: x.rows, columns: rank)  // (tokens × r)
        var others = Matrix(uninitializedRows: x.rows, columns: coefficients.rows)  // (tokens × (m − r))
        multiply(MatrixOperand(x), pivotRows.transposed, into: inner.mutableView())
        multiply(MatrixOperand(inner), coefficients.transposed, into: others.mutableView())
        let left = inner.view, right = others.view
        parallelFor(x.rows) { token in
            let target = y.base + token * y.rowStride
            let pivots = left.base + token * left.rowStride, rest = right.base + token * right.rowStride
            for j in 0..<left.columns { target[Int(rows[j]) * y.columnStride] = pivots[j] }
            for j in 0..<right.columns { target[Int(rows[left.columns + j]) * y.columnStride] = rest[j] }
        }
    }

    public func reconstruct() -> Matrix {
        var others = Matrix(uninitializedRows: coefficients.rows, columns: inFeatures)  // C W'_pivot ((m − r) × n)
        multiply(coefficients, pivotRows, into: others.mutableView())
        var result = Matrix(uninitializedRows: outFeatures, columns: inFeatures)
        let target = result.mutableView()
        for (position, row) in rows.enumerated() {
            let part =
                position < rank
                ? pivotRows.rows(position..<position + 1)
                : MatrixOperand(others.view.rows(position - rank..<position - rank + 1))
            convert(part, into: MutableMatrixOperand(target.rows(Int(row)..<Int(row) + 1)))
        }
        return result
    }

    /// Rows of W' that are made at a time: few enough to stay in a cache, enough for a product.
    private static let rowsPerPart = 2304

    /// ‖T_q − C W'_pivot‖_F² for the rows q of T (m × n) that are no pivots.
    func squaredErrorOfOtherRows(_ others: [Int], of target: MatrixOperand) -> Double {
        // Of the same size for every rank, so that the memory of one serves the next.
        var memory = Matrix(uninitializedRows: min(Self.rowsPerPart, outFeatures), columns: inFeatures)
        let left = memory.mutableView(), parts = (others.count + Self.rowsPerPart - 1) / Self.rowsPerPart
        var sum = 0.0
        for index in 0..<parts {
            let part = index * others.count / parts..<(index + 1) * others.count / parts
            let made = left.rows(0..<part.count)
            multiply(coefficients.rows(part), pivotRows, into: made)
            sum += PivotForm.squaredDistance(of: made.readable, from: Array(others[part]), of: target)
        }
        return sum
    }

    /// The pivots, then the others, ascending.
    private static func order(pivots: [Int32], count: Int) -> [Int32] {
        var isPivot = [Bool](repeating: false, count: count)
        for row in pivots { isPivot[Int(row)] = true }
        return pivots + (0..<Int32(count)).filter { !isPivot[Int($0)] }
    }
}
