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
///    rounding. With P the rounded rows, PᵀL_i = QR and F the target of the other rows, C = F L_i Q R⁻ᵀ. A metric L_oL_oᵀ of
///    the outputs that is not diagonal ties other rows to the errors E_p of the pivots: F = T_rest + G_rr⁻¹ G_rp E_p.
///
/// - Cost: a pivoted QR of r × m; with the fit, a QR of n × r and a product of (m − r)·n·r operations.
/// - Source: PIFA (Zhao et al., ICML 2025) for the form, by LU and without the fit.
struct PivotForm {
    let form: PivotOperator
    /// C ((m − r) × r) before rounding.
    let unroundedCoefficients: Matrix
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
        multiply(MatrixOperand(Self.rows(choice.pivots, of: MatrixOperand(a))), MatrixOperand(b), into: rows.mutableView())
        var coefficients = choice.interpolation
        if type.bytes < ElementType.float32.bytes,
            let fitted = try Self.fit(rows: rows, storedAs: type, choice, objective)
        {
            coefficients = fitted
        }
        form = PivotOperator(
            pivot: MatrixOperand(rows), rest: MatrixOperand(coefficients), rows: choice.pivots, storedAs: type)
        unroundedCoefficients = coefficients
        largestCoefficient = choice.largestEntry
        coefficientNorm = choice.spectralNorm
    }

    /// C for the rounded rows; nil where these are dependent, so that any solution is as good.
    private static func fit(
        rows: Matrix, storedAs type: ElementType, _ choice: PivotRows<Float>, _ objective: Objective
    ) throws(LinearAlgebraError) -> Matrix? {
        guard let stored = StoredTensor(MatrixOperand(rows), as: type).operand() else { return nil }
        let weighted = objective.inputs.weighted(stored)  // (r × n)
        var transposed = Matrix64(uninitializedRows: weighted.columns, columns: weighted.rows)
        convert(weighted.transposed, into: MutableMatrixOperand(transposed.mutableView()))
        let qr = try HouseholderQR(transposed.view)
        let diagonal = (0..<qr.size).map { abs(qr.r[$0, $0]) }
        let noise = Tolerance.rank(
            .float64, rows: transposed.rows, columns: transposed.columns, largest: diagonal.max() ?? 0)
        guard diagonal.allSatisfy({ $0 > noise }) else { return nil }
        let target = objective.inputs.weighted(try self.target(choice, objective, stored: stored))
        var product = Matrix64(uninitializedRows: target.rows, columns: qr.size)  // F L_i Q ((m − r) × r)
        multiply(target, MatrixOperand(qr.thinQ()), into: product.mutableView())
        solveTriangular(qr.r.view, .upper, into: product.mutableView().transposed)
        var result = Matrix(uninitializedRows: product.rows, columns: product.columns)
        convert(MatrixOperand(product), into: MutableMatrixOperand(result.mutableView()))
        return result
    }

    /// F ((m − r) × n): what the rows that are no pivots should be.
    private static func target(
        _ choice: PivotRows<Float>, _ objective: Objective, stored: MatrixOperand
    ) throws(LinearAlgebraError) -> MatrixOperand {
        let rest = rows(choice.rest, of: objective.target)
        guard case .gram(let gram) = objective.outputs else { return MatrixOperand(rest) }
        let restMoment = Matrix64(rows: choice.rest.count, columns: choice.rest.count) {
            gram.moment[choice.rest[$0], choice.rest[$1]] + ($0 == $1 ? gram.shift : 0)
        }
        var coupling = Matrix64(rows: choice.rest.count, columns: choice.pivots.count) {
            gram.moment[choice.rest[$0], choice.pivots[$1]]
        }
        try Cholesky(restMoment).solve(into: coupling.mutableView())
        let pivots = rows(choice.pivots, of: objective.target)
        let errors = Matrix64(rows: pivots.rows, columns: pivots.columns) { Double(pivots[$0, $1]) - stored[$0, $1] }
        var result = Matrix64(rows: rest.rows, columns: rest.columns) { Double(rest[$0, $1]) }
        multiply(MatrixOperand(coupling), MatrixOperand(errors), into: result.mutableView(), beta: 1)
        return MatrixOperand(result)
    }

    private static func rows(_ rows: [Int], of matrix: MatrixOperand) -> Matrix {
        var result = Matrix(uninitializedRows: rows.count, columns: matrix.columns)
        let target = result.mutableView()
        for (place, row) in rows.enumerated() {
            convert(matrix.rows(row..<row + 1), into: MutableMatrixOperand(target.rows(place..<place + 1)))
        }
        return result
    }
}
