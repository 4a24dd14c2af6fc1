import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// Least squares X of X P ≈ F, for rows P (r × n) as they are stored and rows F (k × n) that should follow from them.
///
/// 1. In Float, from P and F as they lie in memory: a guess X₀ is corrected by the normal equations of what it leaves,
///    R = F − X₀ P,   (X − X₀) (P Pᵀ) = R Pᵀ.   Taken where what Float rounds away adds less to the error than a
///    thousandth of what rounding X to its type is going to.
/// 2. Otherwise in Double, Pᵀ = QR and X = F Q R⁻ᵀ, where the condition of P does not count squared.
///
/// Elements of P Pᵀ and R Pᵀ are off by ν‖p_i‖‖p_j‖ and ν‖r_i‖‖p_j‖, in no direction. So, to first order and with D the
/// lengths of the rows of P, the squared error grows by
///
///     ν² (‖R‖² + ‖(X − X₀) D‖²) · tr(D (P Pᵀ)⁻¹ D),
///
/// the trace measured with random signs; rounding X by a relative ρ adds ρ²‖X D‖². What R is off by counts only as far
/// as it lies in the span of P, and is less.
///
/// - Cost: r²n + 4krn + 2kr² operations in Float; in Double 4r²n + 2krn + kr².
/// - Source: Golub and Van Loan, Matrix Computations, §5.3; the trace is Hutchinson's estimate.
struct PivotFit {
    /// P (r × n).
    let rows: MatrixOperand
    /// F (k × n).
    let target: MatrixOperand
    /// X₀ (k × r): the better, the less Float has to be exact about.
    let guess: Matrix
    /// What X is rounded to.
    let type: ElementType

    /// ν: error of an element of a Float product, in units of the lengths of its row and column; 2.4e-8 is seen.
    private static let productRounding = 5e-8
    /// ρ in units of the distance from 1 to the next number of the type, over evenly spread numbers.
    private static let typicalRounding = 0.2
    /// Most that Float may add, as a share of what rounding X does.
    private static let allowedShare = 0.001
    /// Vectors of random signs.
    private static let probes = 8

    /// X (k × r); nil where the rows are dependent, so that any solution is as good.
    func solution() throws(LinearAlgebraError) -> Matrix? {
        if let found = inFloat() { return found }
        return try inDouble()
    }

    // MARK: Normal equations

    private func inFloat() -> Matrix? {
        guard rows.type != .float64, target.type != .float64 else { return nil }
        var gram = Matrix(uninitializedRows: rows.rows, columns: rows.rows)
        multiplyByTranspose(rows, into: gram.mutableView())
        let lengths = (0..<rows.rows).map { Double(gram[$0, $0]).squareRoot() }
        guard let root = Self.root(of: gram) else { return nil }
        let amplification = Self.trace(lengths, root)
        convert(MatrixOperand(root), into: MutableMatrixOperand(gram.mutableView()))
        var left = Matrix(uninitializedRows: target.rows, columns: target.columns)  // R (k × n)
        convert(target, into: MutableMatrixOperand(left.mutableView()))
        multiply(MatrixOperand(guess), rows, into: left.mutableView(), alpha: -1, beta: 1)
        var solution = Matrix(uninitializedRows: target.rows, columns: rows.rows)
        let view = solution.mutableView()
        multiply(MatrixOperand(left), rows.transposed, into: view)
        solveTriangular(gram.view, .lower, into: view.transposed)
        solveTriangular(gram.view.transposed, .upper, into: view.transposed)
        let known = guess.view
        let corrected = Self.squaredLengths(view.readable, lengths)
        parallelFor(view.rows) { row in
            for column in 0..<view.columns { view[row, column] += known[row, column] }
        }
        let noise =
            Self.productRounding * Self.productRounding
            * (sumOfSquares(MatrixOperand(left)) + corrected) * amplification
        let rounding = Self.typicalRounding * type.epsilon
        let whole = Self.squaredLengths(view.readable, lengths)
        // Written so that a NaN fails.
        return whole.isFinite && noise <= Self.allowedShare * rounding * rounding * whole ? solution : nil
    }

    /// L of G = L Lᵀ; nil where G is not definite in Double.
    private static func root(of gram: Matrix) -> Matrix64? {
        var wide = Matrix64(uninitializedRows: gram.rows, columns: gram.columns)
        convert(MatrixOperand(gram), into: MutableMatrixOperand(wide.mutableView()))
        var options = Cholesky.Options()
        options.largestShift = 0
        // What cannot be factored is for the other route to judge.
        return (try? Cholesky(wide, options: options))?.l
    }

    /// tr(D G⁻¹ D) = Σ‖L⁻¹ D z‖² on average over random signs z.
    private static func trace(_ lengths: [Double], _ root: Matrix64) -> Double {
        let random: Matrix64 = CounterRandom(seed: 0, stream: 0x4649_5400).normalMatrix(
            rows: lengths.count, columns: probes)
        var signs = Matrix64(rows: lengths.count, columns: probes) { random[$0, $1] < 0 ? -lengths[$0] : lengths[$0] }
        solveTriangular(root.view, .lower, into: signs.mutableView())
        return sumOfSquares(MatrixOperand(signs)) / Double(probes)
    }

    /// ‖X D‖².
    private static func squaredLengths(_ x: MatrixView<Float>, _ lengths: [Double]) -> Double {
        let sums = AlignedBuffer<Double>(uninitializedCount: x.rows)
        parallelFor(x.rows) { row in
            var sum = 0.0
            for (column, length) in lengths.enumerated() {
                let scaled = Double(x[row, column]) * length
                sum += scaled * scaled
            }
            sums.base[row] = sum
        }
        return (0..<x.rows).reduce(0) { $0 + sums.base[$1] }
    }

    // MARK: Orthogonal factor

    private func inDouble() throws(LinearAlgebraError) -> Matrix? {
        var transposed = Matrix64(uninitializedRows: rows.columns, columns: rows.rows)
        convert(rows.transposed, into: MutableMatrixOperand(transposed.mutableView()))
        let qr = try HouseholderQR(transposed.view)
        let diagonal = (0..<qr.size).map { abs(qr.r[$0, $0]) }
        let noise = Tolerance.rank(
            .float64, rows: transposed.rows, columns: transposed.columns, largest: diagonal.max() ?? 0)
        guard diagonal.allSatisfy({ $0 > noise }) else { return nil }
        var product = Matrix64(uninitializedRows: target.rows, columns: qr.size)  // F Q (k × r)
        multiply(target, MatrixOperand(qr.thinQ()), into: product.mutableView())
        solveTriangular(qr.r.view, .upper, into: product.mutableView().transposed)
        var result = Matrix(uninitializedRows: product.rows, columns: product.columns)
        convert(MatrixOperand(product), into: MutableMatrixOperand(result.mutableView()))
        return result
    }
}
