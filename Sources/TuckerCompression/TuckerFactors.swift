import Kernels
import LinearAlgebra
import MatrixCore

/// A Tucker form of a stack: S'_k = (I ⊗ U₂) (Σ_a U₁[k, a] C_a) U₃ᵀ; a mode without a factor is kept whole.
@dynamicMemberLookup
struct TuckerFactors {
    /// U₁ (members × r₁), U₂ (rows × r₂) and U₃ (columns × r₃).
    private var factors: PerMode<Matrix?>
    /// C (r₁ × heads × r₂ × r₃).
    var core: TuckerTensor

    /// Rows of the factors that are the identity, ascending, by mode; none where factors are plain.
    var pivots: [TuckerMode: [Int]] = [:]

    var ranks: TuckerRanks { TuckerRanks(members: core.members, rows: core.rows, columns: core.columns) }

    init(_ factors: PerMode<Matrix?>, core: TuckerTensor) {
        self.factors = factors
        self.core = core
    }

    subscript(mode: TuckerMode) -> Matrix? {
        get { factors[mode] }
        set { factors[mode] = newValue }
    }

    /// `members`, `rows` and `columns`.
    subscript(dynamicMember mode: WritableKeyPath<PerMode<Matrix?>, Matrix?>) -> Matrix? {
        get { factors[keyPath: mode] }
        set { factors[keyPath: mode] = newValue }
    }

    /// The same form with factors that are the identity in rows that span them well: F = C F_p, and the core takes F_p.
    func pivoted() throws(LinearAlgebraError) -> TuckerFactors {
        var result = self
        for mode in TuckerMode.allCases {
            guard let factor = self[mode] else { continue }
            let found = try PivotRows(of: factor.view, count: factor.columns, options: .init(largestEntryBound: 2))
            var unit = Matrix(rows: factor.rows, columns: factor.columns)
            let target = unit.mutableView()
            for (column, row) in found.pivots.enumerated() { target[row, column] = 1 }
            for (place, row) in found.rest.enumerated() {
                for column in 0..<factor.columns { target[row, column] = found.interpolation[place, column] }
            }
            let basis = Matrix(rows: factor.columns, columns: factor.columns) { factor[found.pivots[$1], $0] }
            result[mode] = unit
            result.core = result.core.contracted(mode, by: basis)
            result.pivots[mode] = found.pivots
        }
        return result
    }

    /// Takes member weights back, into the factor of the members or into their cores.
    mutating func divideMembers(by weights: [Double]) {
        if weights.allSatisfy({ $0 == 1 }) { return }
        if var factor = self[.members] {
            let view = factor.mutableView()
            for member in 0..<view.rows {
                for a in 0..<view.columns { view[member, a] = Float(Double(view[member, a]) / weights[member]) }
            }
            self[.members] = factor
        } else {
            let height = core.heads * core.rows
            core = mappedCore { row, _, value in Float(Double(value) / weights[row / height]) }
        }
    }

    /// Gives the columns of every factor the length 1 and the core what they had: a type of little range then holds
    /// the factors, and the core carries the size of the weights.
    mutating func normalise() {
        let memberLengths = Self.normalise(&self[.members]), rowLengths = Self.normalise(&self[.rows])
        let columnLengths = Self.normalise(&self[.columns])
        if memberLengths == nil, rowLengths == nil, columnLengths == nil { return }
        let height = core.heads * core.rows, rank = core.rows
        core = mappedCore { row, column, value in
            let scale = (memberLengths?[row / height] ?? 1) * (rowLengths?[row % rank] ?? 1)
                * (columnLengths?[column] ?? 1)
            return Float(Double(value) * scale)
        }
    }

    /// - Returns: the lengths the columns had; nil where there is nothing to do.
    private static func normalise(_ factor: inout Matrix?) -> [Double]? {
        guard var matrix = factor else { return nil }
        let columns = matrix.view.columns
        let lengths = (0..<columns).map { j in
            let length = sumOfSquares(MatrixOperand(matrix.view.columns(j..<j + 1))).squareRoot()
            return length > 0 ? length : 1
        }
        let view = matrix.mutableView()
        for i in 0..<view.rows {
            for j in 0..<columns { view[i, j] = Float(Double(view[i, j]) / lengths[j]) }
        }
        factor = matrix
        return lengths
    }

    private func mappedCore(_ element: (Int, Int, Float) -> Float) -> TuckerTensor {
        let old = core.elements.view
        let elements = Matrix(rows: old.rows, columns: old.columns) { element($0, $1, old[$0, $1]) }
        return TuckerTensor(members: core.members, heads: core.heads, rows: core.rows, elements: elements)
    }
}
