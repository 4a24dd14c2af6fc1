import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// The basis B (r × n) that the layers of a group share: what each makes of its own is W' = C B.
///
/// Stored once, as `lowrank.shared.<group>.basis` [r, n]. With pivots, B is the identity in r of its columns; the
/// others are stored as rows, [n − r, r], and the positions of the identity as `.pivot.index` [r] behind the name. That
/// is r² numbers less, and as many multiply-adds: these inputs are taken as they are.
public struct SharedBasis: Sendable {
    /// Module name of the first member.
    public let group: String
    /// B (r × n), or the columns that are no pivots as rows (n − r × r).
    public let stored: StoredTensor
    /// Columns of the identity (r), ascending; nil for a plain basis.
    public let index: StoredTensor?
    private let numbers: MatrixOperand
    /// The pivots, then the other columns, both ascending; empty for a plain basis.
    private let order: [Int32]

    /// - Parameter rows: B (r × n).
    init(rows: MatrixOperand, group: String, storedAs type: ElementType) {
        self.group = group
        stored = StoredTensor(rows, as: type)
        index = nil
        numbers = MatrixOperand(stored: stored, type: type)
        order = []
    }

    /// - Parameters:
    ///   - rest: the columns of B that are no pivots, as rows (n − r × r).
    ///   - pivots: the columns that are the identity, ascending.
    init(rest: MatrixOperand, pivots: [Int], group: String, storedAs type: ElementType) {
        self.group = group
        stored = StoredTensor(rest, as: type)
        index = StoredTensor(pivots.map(Int32.init), dtype: .i32)
        numbers = MatrixOperand(stored: stored, type: type)
        order = Self.order(pivots.map(Int32.init), count: rest.rows + pivots.count)
    }

    init(group: String, rank: Int, isPivoted: Bool, _ source: OperatorSource) throws(OperatorError) {
        self.group = group
        let name = Self.name(of: group)
        let shape: [Int?] = isPivoted ? [nil, rank] : [rank, nil]
        stored = try source.numbers(name, shape: shape, scope: .checkpoint)
        guard let numbers = stored.operand() else { throw .missingTensor(name) }
        self.numbers = numbers
        if isPivoted {
            let positions = Self.positionsName(of: group), count = numbers.rows + rank
            index = try source.tensor(positions, scope: .checkpoint)
            order = Self.order(
                try source.ascendingPositions(positions, count: rank, below: count, scope: .checkpoint), count: count)
        } else {
            index = nil
            order = []
        }
    }

    static func name(of group: String) -> String { "lowrank.shared.\(group).basis" }
    static func positionsName(of group: String) -> String { name(of: group) + ".pivot.index" }

    public var isPivoted: Bool { index != nil }
    /// r.
    public var rank: Int { isPivoted ? numbers.columns : numbers.rows }
    /// n.
    public var features: Int { isPivoted ? order.count : numbers.columns }
    /// Multiply-adds per token of B x.
    public var macs: Int { numbers.rows * numbers.columns }

    var tensors: [OperatorTensor] {
        let basis = OperatorTensor(Self.name(of: group), stored, scope: .checkpoint)
        guard let index else { return [basis] }
        return [basis, OperatorTensor(Self.positionsName(of: group), index, scope: .checkpoint, isIndex: true)]
    }

    /// B (r × n) as stored.
    var rows: MatrixOperand {
        guard isPivoted else { return numbers }
        var whole = Matrix(rows: rank, columns: features)
        let target = whole.mutableView()
        for pivot in 0..<rank { target[pivot, Int(order[pivot])] = 1 }
        for (place, column) in order.dropFirst(rank).enumerated() {
            for row in 0..<rank { target[row, Int(column)] = Float(numbers[place, row]) }
        }
        return MatrixOperand(whole)
    }

    /// bond ← x · Bᵀ.
    /// - Parameters:
    ///   - x: tokens (T × n).
    ///   - bond: (T × r), overwritten.
    func multiply(_ x: MatrixView<Float>, into bond: MutableMatrixView<Float>) {
        guard isPivoted else { return Kernels.multiply(MatrixOperand(x), numbers.transposed, into: bond) }
        var others = Matrix(uninitializedRows: x.rows, columns: numbers.rows)  // (T × (n − r))
        let rest = others.mutableView(), rank = rank
        parallelFor(x.rows) { token in
            let source = x.base + token * x.rowStride
            let pivots = bond.base + token * bond.rowStride, target = rest.base + token * rest.rowStride
            for j in 0..<rank { pivots[j * bond.columnStride] = source[Int(order[j]) * x.columnStride] }
            for j in 0..<rest.columns { target[j] = source[Int(order[rank + j]) * x.columnStride] }
        }
        Kernels.multiply(MatrixOperand(others), numbers, into: bond, beta: 1)
    }

    /// C · B (m × n) in Float.
    func product(_ coefficients: MatrixOperand) -> Matrix {
        var result = Matrix(uninitializedRows: coefficients.rows, columns: features)
        guard isPivoted else {
            Kernels.multiply(coefficients, numbers, into: result.mutableView())
            return result
        }
        var others = Matrix(uninitializedRows: coefficients.rows, columns: numbers.rows)
        Kernels.multiply(coefficients, numbers.transposed, into: others.mutableView())
        let target = result.mutableView(), rest = others.view, rank = rank
        parallelFor(coefficients.rows) { row in
            for j in 0..<rank { target[row, Int(order[j])] = Float(coefficients[row, j]) }
            for j in 0..<rest.columns { target[row, Int(order[rank + j])] = rest[row, j] }
        }
        return result
    }

    private static func order(_ pivots: [Int32], count: Int) -> [Int32] {
        var isPivot = [Bool](repeating: false, count: count)
        for column in pivots { isPivot[Int(column)] = true }
        return pivots + (0..<Int32(count)).filter { !isPivot[Int($0)] }
    }
}
