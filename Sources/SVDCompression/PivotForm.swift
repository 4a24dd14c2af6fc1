import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// Rows and coefficients of a rank-r matrix W' = A B for pivot storage, fitted to what rounding makes of the rows.
///
/// 1. Rows are chosen by a column-pivoted QR of Aᵀ, A with orthonormal columns: well conditioned, so that rounding noise
///    in the rows is not blown up by C.
/// 2. The chosen rows of W' are rounded to the type they are stored in.
/// 3. For types below Float, C minimises ‖L_oᵀ(T − W')L_i‖ with those rounded rows, so that C makes up for part of the
///    rounding: C P L_i ≈ F L_i, with P the rounded rows and F the target of the other rows (`PivotFit`). A metric
///    L_oL_oᵀ of the outputs that is not diagonal ties other rows to the errors E_p of the pivots:
///    F = T_rest + G_rr⁻¹ G_rp E_p.
///
/// - Cost: a pivoted QR of r × m, a product of 2r²n operations, and the fit.
/// - Source: PIFA (Zhao et al., ICML 2025) for the form, by LU and without the fit.
struct PivotForm {
    let form: PivotOperator
    /// The pivot rows of W' (r × n) before rounding.
    let unroundedRows: Matrix
    /// C ((m − r) × r) before rounding.
    let unroundedCoefficients: Matrix
    /// Rows of W' that are no pivots, ascending.
    let rest: [Int]
    /// max |C_ij| of the choice of rows.
    let largestCoefficient: Double
    /// ‖C‖₂ of the choice of rows: how much rounding noise in the rows can grow.
    let coefficientNorm: Double

    /// - Parameters:
    ///   - a: (m × r), columns orthonormal or nearly.
    ///   - b: (r × n).
    init(a: Matrix, b: Matrix, objective: Objective, storedAs type: ElementType) throws(LinearAlgebraError) {
        let choice = try PivotRows(of: a.view, count: a.columns)
        var rows = Matrix(uninitializedRows: choice.pivots.count, columns: b.columns)
        multiply(Self.rows(choice.pivots, of: MatrixOperand(a)), MatrixOperand(b), into: rows.mutableView())
        var coefficients = choice.interpolation
        if type.bytes < ElementType.float32.bytes,
            let fitted = try Self.fit(rows: rows, storedAs: type, choice, objective)
        {
            coefficients = fitted
        }
        form = PivotOperator(
            pivot: MatrixOperand(rows), rest: MatrixOperand(coefficients), rows: choice.pivots, storedAs: type)
        unroundedRows = rows
        unroundedCoefficients = coefficients
        rest = choice.rest
        largestCoefficient = choice.largestEntry
        coefficientNorm = choice.spectralNorm
    }

    /// C for the rounded rows; nil where these are dependent, so that any solution is as good.
    private static func fit(
        rows: Matrix, storedAs type: ElementType, _ choice: PivotRows<Float>, _ objective: Objective
    ) throws(LinearAlgebraError) -> Matrix? {
        guard let stored = StoredTensor(MatrixOperand(rows), as: type).operand() else { return nil }
        let target = try target(choice, objective, stored: stored)
        return try PivotFit(
            rows: objective.inputs.weighted(stored), target: objective.inputs.weighted(target),
            guess: choice.interpolation, type: type
        ).solution()
    }

    /// F ((m − r) × n): what the rows that are no pivots should be.
    private static func target(
        _ choice: PivotRows<Float>, _ objective: Objective, stored: MatrixOperand
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

    /// Some rows of a matrix, in its type.
    static func rows(_ rows: [Int], of matrix: MatrixOperand) -> MatrixOperand {
        let length = matrix.columns * matrix.type.bytes
        let buffer = AlignedBuffer<UInt8>(uninitializedCount: rows.count * length)
        for (place, row) in rows.enumerated() {
            let target = MutableMatrixOperand(
                base: UnsafeMutableRawPointer(buffer.base + place * length), type: matrix.type, rows: 1,
                columns: matrix.columns, rowStride: matrix.columns, owner: buffer)
            convert(matrix.rows(row..<row + 1), into: target)
        }
        return MatrixOperand(
            base: UnsafeRawPointer(buffer.base), type: matrix.type, rows: rows.count, columns: matrix.columns,
            rowStride: matrix.columns, owner: buffer)
    }
}
