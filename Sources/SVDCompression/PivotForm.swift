import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// Rows and coefficients of a rank-r matrix W' = A B for pivot storage, fitted to what rounding makes of the rows.
///
/// 1. Rows are chosen by elimination or a column-pivoted QR of Aᵀ (`PivotRows`), A with orthonormal columns: well
///    conditioned, so that rounding noise in the rows is not blown up by C.
/// 2. The chosen rows of W' are rounded to the type they are stored in.
/// 3. For types below Float, C minimises ‖L_oᵀ(T − W')L_i‖ with those rounded rows, so that C makes up for part of the
///    rounding. Where the dual basis of B is known and the rows stand well above the noise, `DualFit` does so at little
///    cost. Otherwise C P L_i ≈ F L_i, with P the rounded rows and F the target of the other rows (`PivotFit`). A
///    metric L_oL_oᵀ of the outputs that is not diagonal ties other rows to the errors E_p of the pivots:
///    F = T_rest + G_rr⁻¹ G_rp E_p.
///
/// - Cost: the choice of r rows of m, a product of 2r²n operations, and the fit.
/// - Source: PIFA (Zhao et al., ICML 2025) for the form, without the fit.
struct PivotForm {
    let form: PivotOperator
    /// C ((m − r) × r) before rounding.
    let unroundedCoefficients: Matrix
    /// Rows of W' that are no pivots, ascending.
    let rest: [Int]
    /// max |C_ij|.
    let largestCoefficient: Double
    /// ‖C‖₂: how much rounding noise in the rows can grow; from below, a few per cent short at worst in practice.
    let coefficientNorm: Double

    /// Steps of the power iteration behind `coefficientNorm`: each reads C twice.
    private static let normSteps = 8

    /// - Parameters:
    ///   - choice: of rows of A (m × r), whose columns are orthonormal or nearly.
    ///   - b: (r × n).
    ///   - dual: of b, where the product is the optimum of the objective.
    init(
        _ choice: RowChoice, b: MatrixOperand, dual: DualBasis? = nil, objective: Objective, storedAs type: ElementType
    ) throws(LinearAlgebraError) {
        var rows = Matrix(uninitializedRows: choice.pivots.count, columns: b.columns)
        multiply(MatrixOperand(choice.pivotRows), b, into: rows.mutableView())
        var stored = MatrixOperand(rows)
        var fitted: Matrix?
        if type.bytes < ElementType.float32.bytes, let rounded = StoredTensor(stored, as: type).operand() {
            stored = rounded
            fitted = try Self.fit(stored, exact: &rows, dual, choice, objective)
        }
        let coefficients = if let fitted { fitted } else { try choice.interpolation() }
        form = PivotOperator(pivot: stored, rest: MatrixOperand(coefficients), rows: choice.pivots, storedAs: type)
        unroundedCoefficients = coefficients
        rest = choice.rest
        largestCoefficient = Float.largestMagnitude(coefficients.view)
        coefficientNorm = Self.spectralNorm(of: form.coefficients)
    }

    /// C for the rounded rows; nil where these are dependent, so that any solution is as good.
    /// - Parameter exact: the rows before rounding; used up.
    private static func fit(
        _ stored: MatrixOperand, exact rows: inout Matrix, _ dual: DualBasis?, _ choice: RowChoice,
        _ objective: Objective
    ) throws(LinearAlgebraError) -> Matrix? {
        if let dual {
            subtract(&rows, from: stored)
            let fit = DualFit(choice: choice, noise: rows, dual: dual)
            if let found = fit.solution() { return found }
        }
        let target = try target(choice, objective, stored: stored)
        return try PivotFit(
            rows: objective.inputs.weighted(stored), target: objective.inputs.weighted(target),
            guess: choice.interpolation(), type: stored.type
        ).solution()
    }

    /// F ((m − r) × n): what the rows that are no pivots should be.
    private static func target(
        _ choice: RowChoice, _ objective: Objective, stored: MatrixOperand
    ) throws(LinearAlgebraError) -> MatrixOperand {
        let rest = rows(choice.rest, of: objective.target)
        guard case .gram(let gram) = objective.outputs else { return rest }
        let restMoment = Matrix64(rows: choice.rest.count, columns: choice.rest.count) {
            gram.moment[choice.rest[$0], choice.rest[$1]] + ($0 == $1 ? gram.shift : 0)
        }
        var coupling = Matrix64(rows: choice.rest.count, columns: choice.pivots.count) {
            gram.moment[choice.rest[$0], choice.pivots[$1]]
        }
        try Cholesky(restMoment).solve(into: coupling.mutableView())
        let pivots = rows(choice.pivots, of: objective.target)
        let errors = Matrix64(rows: pivots.rows, columns: pivots.columns) { pivots[$0, $1] - stored[$0, $1] }
        var result = Matrix64(rows: rest.rows, columns: rest.columns) { rest[$0, $1] }
        multiply(MatrixOperand(coupling), MatrixOperand(errors), into: result.mutableView(), beta: 1)
        return MatrixOperand(result)
    }

    /// rows ← stored − rows.
    private static func subtract(_ rows: inout Matrix, from stored: MatrixOperand) {
        let view = rows.mutableView(), block = 16
        parallelFor((view.rows + block - 1) / block) { piece in
            let range = piece * block..<min((piece + 1) * block, view.rows)
            var wide = Matrix(uninitializedRows: range.count, columns: view.columns)
            convert(stored.rows(range), into: MutableMatrixOperand(wide.mutableView()))
            let source = wide.view.base, target = view.base + range.lowerBound * view.rowStride
            for i in 0..<wide.count { target[i] = source[i] - target[i] }
        }
    }

    /// Of the coefficients as they are stored: half as many bytes to read again and again.
    private static func spectralNorm(of c: MatrixOperand) -> Double {
        PivotRows<Float>.spectralNorm(rows: c.rows, columns: c.columns, steps: normSteps) { isTransposed, x, y in
            multiply(isTransposed ? c.transposed : c, MatrixOperand(x), into: y)
        }
    }

    /// Some rows of a matrix, in its type.
    static func rows(_ rows: [Int], of matrix: MatrixOperand) -> MatrixOperand {
        let buffer = AlignedBuffer<UInt8>(uninitializedCount: rows.count * matrix.columns * matrix.type.bytes)
        copy(
            rows, of: matrix,
            into: MutableMatrixOperand(
                base: UnsafeMutableRawPointer(buffer.base), type: matrix.type, rows: rows.count,
                columns: matrix.columns, rowStride: matrix.columns, owner: buffer))
        return MatrixOperand(
            base: UnsafeRawPointer(buffer.base), type: matrix.type, rows: rows.count, columns: matrix.columns,
            rowStride: matrix.columns, owner: buffer)
    }

    /// Rows that a thread copies or compares at a time.
    private static let rowsPerPiece = 16

    /// ‖M − A_q‖_F² for a matrix M and as many rows q of A, summed in a fixed order.
    static func squaredDistance(of matrix: MatrixView<Float>, from rows: [Int], of other: MatrixOperand) -> Double {
        let pieces = (rows.count + rowsPerPiece - 1) / rowsPerPiece
        let sums = AlignedBuffer<Double>(uninitializedCount: pieces)
        parallelFor(pieces) { piece in
            let range = piece * rowsPerPiece..<min((piece + 1) * rowsPerPiece, rows.count)
            var part = Matrix(uninitializedRows: range.count, columns: other.columns)
            copy(Array(rows[range]), of: other, into: MutableMatrixOperand(part.mutableView()))
            sums.base[piece] = sumOfSquaredDifferences(MatrixOperand(part), MatrixOperand(matrix.rows(range)))
        }
        return (0..<pieces).reduce(0) { $0 + sums.base[$1] }
    }

    /// target ← some rows of a matrix, in the type of the target.
    static func copy(_ rows: [Int], of matrix: MatrixOperand, into target: MutableMatrixOperand) {
        let block = rowsPerPiece
        parallelFor((rows.count + block - 1) / block) { piece in
            for place in piece * block..<min((piece + 1) * block, rows.count) {
                let row = MutableMatrixOperand(
                    base: target.base + place * target.rowStride * target.type.bytes, type: target.type, rows: 1,
                    columns: target.columns, rowStride: target.rowStride, owner: target.owner)
                convert(matrix.rows(rows[place]..<rows[place] + 1), into: row)
            }
        }
    }
}
