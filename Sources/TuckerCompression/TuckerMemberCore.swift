import CompressionCore
import Kernels
import MatrixCore

/// Takes the core of a member out of the core of its group.
///
/// A core of experts or layers that keeps its members is used where it lies. Otherwise the member's core is
/// Σ_a U₁[k, a] C_a, or for attention the slice of a core whose last axis are the projections, in Float.
struct TuckerMemberCore {
    let storage: TuckerStorage
    let stored: StoredTensor
    /// U₁ (members × r₁); nil where members are kept whole.
    let members: MatrixOperand?

    /// C_k (heads·r₂ × r₃).
    func core(of member: Int) throws(OperatorError) -> MatrixOperand {
        switch storage.layout.kind {
        case .matrix: return try operand(leadingAxes: 1)
        case .stack: return try stackCore(member)
        case .heads: return try headsCore(member)
        }
    }

    private func operand(leadingAxes: Int) throws(OperatorError) -> MatrixOperand {
        guard let operand = stored.operand(leadingAxes: leadingAxes) else {
            throw .missingTensor("the core of \(storage.group)")
        }
        return operand
    }

    /// From [r₁, r₂, r₃].
    private func stackCore(_ member: Int) throws(OperatorError) -> MatrixOperand {
        let rows = storage.ranks.rows, columns = storage.ranks.columns
        guard let members else {
            return try operand(leadingAxes: 2).rows(member * rows..<(member + 1) * rows)
        }
        let cores = try operand(leadingAxes: 1)  // (r₁ × r₂·r₃)
        var mixed = Matrix(uninitializedRows: rows, columns: columns)
        let target = mixed.mutableView()
        multiply(
            members.rows(member..<member + 1).narrowed, cores.narrowed,
            into: MutableMatrixView(
                base: target.base, rows: 1, columns: rows * columns, rowStride: rows * columns, owner: target.owner))
        return MatrixOperand(mixed)
    }

    /// From [r₃, heads, r₂, r₁], or [r₃, heads, r₂] for a single projection.
    private func headsCore(_ member: Int) throws(OperatorError) -> MatrixOperand {
        let height = storage.layout.heads * storage.ranks.rows, columns = storage.ranks.columns
        let count = storage.ranks.members
        let cores = try operand(leadingAxes: 1).reshaped(rows: columns * height, columns: count)
        var core = Matrix(uninitializedRows: columns * height, columns: 1)
        if let members {
            let weights = members.rows(member..<member + 1).narrowed
            multiply(cores.narrowed, weights.transposed, into: core.mutableView())
        } else {
            convert(cores.columns(member..<member + 1), into: MutableMatrixOperand(core.mutableView()))
        }
        return MatrixOperand(core).reshaped(rows: columns, columns: height).transposed
    }
}

extension MatrixOperand {
    /// The same numbers in a type that products in Float take.
    var narrowed: MatrixOperand {
        type == .float64 ? MatrixOperand(Matrix(rounding: Matrix64(self))) : self
    }

    /// Numbers without gaps with other axes.
    fileprivate func reshaped(rows: Int, columns: Int) -> MatrixOperand {
        MatrixOperand(base: base, type: type, rows: rows, columns: columns, rowStride: columns, owner: owner)
    }
}
