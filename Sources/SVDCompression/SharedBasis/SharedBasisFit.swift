import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// The coefficients that a layer makes the best of a given basis with: C = argmin ‖(T − C B) L‖, LLᵀ the metric of its
/// own inputs.
///
///     C = T G Bᵀ (B G Bᵀ)⁻¹
///
/// A metric of the outputs does not matter: every output has its own row of C.
///
/// - Cost: products of r·n² and m·n² operations, and r³/3 for the solve; all in Double.
/// - Source: Basis Sharing (arXiv 2410.03765); the refit in each layer's own moment is METHODS §2.3.
struct SharedBasisFit {
    /// B (r × n).
    let basis: MatrixOperand

    /// C (m × r) in Float.
    /// - Throws: `LinearAlgebraError` where the numbers are not finite.
    func coefficients(for objective: Objective) throws(LinearAlgebraError) -> Matrix {
        let weighted = objective.inputs.weighted(basis)  // B L (r × n)
        var gram = Matrix64(uninitializedRows: basis.rows, columns: basis.rows)
        multiplyByTranspose(weighted, into: gram.mutableView())
        var right = Matrix64(uninitializedRows: basis.rows, columns: objective.target.rows)
        multiply(weighted, objective.inputs.weighted(objective.target).transposed, into: right.mutableView())
        // Rows of the basis may have any length; the equations are solved for unit ones.
        let lengths = (0..<basis.rows).map { gram[$0, $0] > 0 ? gram[$0, $0].squareRoot() : 1 }
        let scaled = Matrix64(rows: gram.rows, columns: gram.columns) {
            $0 == $1 && gram[$0, $1] == 0 ? 1 : gram[$0, $1] / (lengths[$0] * lengths[$1])
        }
        let target = right.mutableView()
        for row in 0..<target.rows {
            for column in 0..<target.columns { target[row, column] /= lengths[row] }
        }
        let solution = try NormalEquations(gram: scaled, right: right).solution
        return Matrix(rows: objective.target.rows, columns: basis.rows) { Float(solution[$1, $0] / lengths[$1]) }
    }
}
