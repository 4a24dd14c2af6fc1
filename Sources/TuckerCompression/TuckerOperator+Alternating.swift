import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

extension TuckerOperator: AlternatingOperator {
    /// U₁ for what the core makes of U₂, then U₂ for what U₁ makes of the core, each in closed form; the core is taken
    /// up by them. With pivots the factors are then turned so that the rows of the identity stay where they are, and
    /// the core takes the change.
    ///
    /// - Throws: `LinearAlgebraError` for members of stacks, whose factors are not theirs; see `refitted`.
    public func alternated(towards target: Matrix64, _ metric: GramMetric, sweeps: Int) throws -> [Matrix] {
        guard storage.layout.kind == .matrix, let out = map.rowFactor, let input = map.columnFactor else {
            throw LinearAlgebraError.shapeMismatch(
                rows: outFeatures, columns: inFeatures, expected: "a matrix with factors of its own")
        }
        let core = Matrix64(converting: map.core)
        var halves = AlternatingHalves(Factors(left: out, right: input.transposed), target, metric)
        var u = Matrix64(converting: out)  // (m × r₁)
        for _ in 0..<sweeps {
            halves.right = Matrix64(product: MatrixOperand(core), MatrixOperand(halves.right))
            u = try halves.solvedLeft()
            halves.left = Matrix64(product: MatrixOperand(u), MatrixOperand(core))
            halves.right = try halves.solvedRight()
        }
        var found: [TuckerMode: Matrix64] = [.rows: u, .columns: Matrix64(halves.right.view.transposed)]
        var whole = core
        if storage.layout.storage == .pivot { whole = try turn(&found, core) }
        return storage.parts.filter { !$0.isIndex }.map { part in
            switch part.mode {
            case .rows: stored(found[.rows] ?? u, .rows)
            case .columns: stored(found[.columns] ?? u, .columns)
            default: Matrix(rounding: whole)
            }
        }
    }

    /// Gives both factors the identity in their pivot rows: F ← F F_p⁻¹, and F_p to the core.
    private func turn(_ factors: inout [TuckerMode: Matrix64], _ core: Matrix64) throws -> Matrix64 {
        var core = core
        for (mode, pivots) in storage.pivots(parts) {
            guard let factor = factors[mode] else { continue }
            let basis = Matrix64(rows: factor.columns, columns: factor.columns) { factor[Int(pivots[$0]), $1] }
            // F F_p⁻¹ is the transpose of what solves F_pᵀ X = Fᵀ.
            let solved = try LeastSquares(
                Matrix64(basis.view.transposed).view, Matrix64(factor.view.transposed).view
            ).solution
            factors[mode] = Matrix64(solved.view.transposed)
            core = mode == .rows
                ? Matrix64(product: MatrixOperand(basis), MatrixOperand(core))
                : Matrix64(product: MatrixOperand(core), MatrixOperand(basis).transposed)
        }
        return core
    }

    /// A factor as it is stored, the first axis as rows.
    private func stored(_ factor: Matrix64, _ mode: TuckerMode) -> Matrix {
        if let pivots = storage.pivots(parts)[mode] {
            let isPivot = Set(pivots.map(Int.init)), rest = (0..<factor.rows).filter { !isPivot.contains($0) }
            return Matrix(rows: rest.count, columns: factor.columns) { Float(factor[rest[$0], $1]) }
        }
        return Matrix(rounding: mode == .columns ? Matrix64(factor.view.transposed) : factor)
    }
}
