import CompressionCore
import Kernels
import MatrixCore

extension TuckerOperator: TrainableOperator {
    /// With D the gradient of S' = (I ⊗ U₂) C U₃ᵀ: ∂L/∂U₃ = Dᵀ (I ⊗ U₂) C, ∂L/∂C = (I ⊗ U₂ᵀ) D U₃ and ∂L/∂U₂ the sum
    /// over heads of D_h U₃ C_hᵀ. What other members share is given as far as this one reaches it.
    public func tensorGradients(ofWeight gradient: MatrixView<Float>) -> [Matrix] {
        let gradients = TuckerGradients(map, MatrixOperand(map.isTransposed ? gradient.transposed : gradient))
        let members = memberFactor
        return zip(storage.parts, parts).filter { !$0.0.isIndex }.map { part, tensor in
            switch part.mode {
            case nil: coreGradient(gradients.core, members)
            case .members: stored(memberGradient(gradients.core), .members)
            case .rows: stored(gradients.rowFactor, .rows)
            case .columns: stored(gradients.columnFactor, .columns)
            }
        }
    }

    /// U₁ (members × r₁) with its identity rows; nil where members are kept whole.
    private var memberFactor: Matrix? {
        for (part, tensor) in zip(storage.parts, parts) where part.mode == .members && !part.isIndex {
            let pivots = storage.pivots(parts)[.members]
            return (pivots.map { tensor.withIdentity(in: $0) } ?? tensor).floats
        }
        return nil
    }

    /// Number a of the combination that the member's core is.
    private func weight(_ a: Int, _ members: Matrix?) -> Float {
        members.map { $0[member, a] } ?? (a == member ? 1 : 0)
    }

    /// Where number (row, column) of the member's core stands in part a of the stored one, counted from its start.
    private func place(_ a: Int, _ row: Int, _ column: Int, in core: Matrix) -> Int {
        storage.layout.kind == .heads
            ? (column * core.rows + row) * storage.ranks.members + a
            : (a * core.rows + row) * core.columns + column
    }

    /// ∂L/∂(stored core): the member's, times its numbers in the combination.
    private func coreGradient(_ core: Matrix, _ members: Matrix?) -> Matrix {
        if storage.layout.kind == .matrix { return core }
        let count = storage.ranks.members
        let firstAxis = storage.layout.kind == .heads ? storage.ranks.columns : count
        var result = Matrix(rows: firstAxis, columns: core.count * count / firstAxis)
        let target = result.mutableView().base
        for a in 0..<count {
            let weight = weight(a, members)
            if weight == 0 { continue }
            for row in 0..<core.rows {
                for column in 0..<core.columns { target[place(a, row, column, in: core)] = weight * core[row, column] }
            }
        }
        return result
    }

    /// ∂L/∂U₁: a row of inner products with the parts of the stored core.
    private func memberGradient(_ core: Matrix) -> Matrix? {
        guard let index = storage.parts.firstIndex(where: { $0.mode == nil }), let values = parts[index].floats else {
            return nil
        }
        let source = values.view.base
        var result = Matrix(rows: storage.layout.members, columns: storage.ranks.members)
        let target = result.mutableView()
        for a in 0..<target.columns {
            var sum = 0.0
            for row in 0..<core.rows {
                for column in 0..<core.columns {
                    sum += Double(source[place(a, row, column, in: core)]) * Double(core[row, column])
                }
            }
            target[member, a] = Float(sum)
        }
        return withExtendedLifetime(values) { result }
    }

    /// The rows of a factor's gradient that are stored, with the axes of the stored tensor.
    private func stored(_ gradient: Matrix?, _ mode: TuckerMode) -> Matrix {
        guard let gradient else { return Matrix(rows: 0, columns: 0) }
        let pivots = Set((storage.pivots(parts)[mode] ?? []).map(Int.init))
        let rows = (0..<gradient.rows).filter { !pivots.contains($0) }
        let isStoredWide = storage.layout.kind == .matrix && mode == .columns && storage.layout.storage == .factors
        if isStoredWide { return Matrix(rows: gradient.columns, columns: rows.count) { gradient[rows[$1], $0] } }
        return Matrix(rows: rows.count, columns: gradient.columns) { gradient[rows[$0], $1] }
    }
}

/// Gradients of the parts of a member's map, whole and in Float.
private struct TuckerGradients {
    /// (rows × r₂); nil where rows have no factor.
    var rowFactor: Matrix?
    /// (heads·r₂ × r₃)
    let core: Matrix
    /// (width × r₃); nil where columns have no factor.
    var columnFactor: Matrix?

    /// - Parameter gradient: D (height × width).
    init(_ map: TuckerMap, _ gradient: MatrixOperand) {
        let toColumns =  // (height × r₃)
            map.columnFactor.map { MatrixOperand(Matrix(product: gradient, $0)) } ?? gradient
        if let factor = map.rowFactor {
            core = toColumns.blockProduct(factor.transposed, rowsPerBlock: factor.rows)
            var sum = Matrix(rows: factor.rows, columns: factor.columns)
            for head in 0..<map.heads {
                multiply(
                    toColumns.rows(head * factor.rows..<(head + 1) * factor.rows),
                    map.core.rows(head * factor.columns..<(head + 1) * factor.columns).transposed,
                    into: sum.mutableView(), beta: 1)
            }
            rowFactor = sum
        } else {
            var copy = Matrix(uninitializedRows: toColumns.rows, columns: toColumns.columns)
            convert(toColumns, into: MutableMatrixOperand(copy.mutableView()))
            core = copy
        }
        if map.columnFactor != nil {
            let left = map.rowFactor.map { MatrixOperand(map.core.blockProduct($0, rowsPerBlock: $0.columns)) }
            columnFactor = Matrix(product: gradient.transposed, left ?? map.core)
        }
    }
}
