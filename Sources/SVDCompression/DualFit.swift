import Kernels
import LinearAlgebra
import MatrixCore

/// Coefficients X for the rows A_q of A that are no pivots, fitted to what rounding has made of the pivot rows:
/// P = A_p B + N.
///
/// X P should be A_q B where that counts: X P R = A_q, with the dual basis R, says that no error is left in the space
/// of the rows of B; outside of it nothing is known of the target but that it is orthogonal. So
///
///     X = A_q (A_p + N R)⁻¹,
///
/// whose condition is about that of A_p and not that of the singular values. The least squares of X P ≈ T_q, which
/// `PivotFit` solves, differ in that they shrink X where the noise outside of the space, K = N_⊥N_⊥ᵀ, drowns the rows
/// themselves, H = Â S²Âᵀ with Â = A_p + N R. That gains tr(X K (H + K)⁻¹ K Xᵀ) of a squared error that has tr(X K Xᵀ)
/// from rounding. K is nearly diagonal, the noise of one row being independent of another's, so both are measured with
/// random signs, and the fit is refused where the gain could be seen in the error.
///
/// - Cost: 2r²n + ⅔r³ + 2kr² operations.
struct DualFit {
    /// A_p (r × r).
    let pivots: MatrixOperand
    /// A_q (k × r).
    let others: MatrixOperand
    /// N (r × n).
    let noise: Matrix
    let dual: DualBasis

    /// Most that least squares may gain, as a share of the squared error that comes from the rows' rounding, or of that
    /// which comes from truncation.
    private static let allowedShares = (rounding: 0.01, truncation: 1e-3)
    /// Vectors of random signs.
    private static let probes = 8

    /// X (k × r); nil where least squares are better, or the rows are dependent.
    func solution() -> Matrix? {
        var basis = dual.coordinates(of: noise)
        let view = basis.mutableView()
        let exact = pivots
        parallelFor(view.rows) { row in
            for column in 0..<view.columns { view[row, column] += Float(exact[row, column]) }
        }
        guard let lu = try? PivotedLU(view.readable), lu.rank == view.rows else { return nil }
        var solution = Matrix(uninitializedRows: others.rows, columns: others.columns)
        let target = solution.mutableView()
        convert(others, into: MutableMatrixOperand(target))
        lu.divide(target)
        let (gain, rounding) = gain(lu, target.readable)
        let allowed = max(Self.allowedShares.rounding * rounding, Self.allowedShares.truncation * dual.squaredLoss)
        return gain <= allowed ? solution : nil
    }

    /// tr(X K H⁻¹ K Xᵀ), a bound of what least squares gain, and tr(X K Xᵀ); NaN where X has left the range of Float.
    private func gain(_ lu: PivotedLU<Float>, _ x: MatrixView<Float>) -> (gain: Double, rounding: Double) {
        let count = dual.values.count
        let outside = 1 - Double(count) / Double(noise.columns)
        let lengths = squaredLengths().map { $0 * max(outside, 0) }
        let random: Matrix64 = CounterRandom(seed: 0, stream: 0x4455_414C).normalMatrix(
            rows: Self.probes, columns: count)
        func signs(_ scale: (Int) -> Double) -> Matrix {
            Matrix(rows: Self.probes, columns: count) { Float(random[$0, $1] < 0 ? -scale($1) : scale($1)) }
        }
        func squaredNorm(_ rows: Matrix) -> Double {
            var product = Matrix(uninitializedRows: x.rows, columns: rows.rows)
            multiply(MatrixOperand(x), MatrixOperand(rows).transposed, into: product.mutableView())
            return sumOfSquares(MatrixOperand(product)) / Double(Self.probes)
        }
        guard let largest = lengths.max(), largest > 0, let least = dual.values.last else { return (0, 0) }
        // X K H^(-½) = X K Â⁻ᵀ S⁻¹, both scaled into the range of Float.
        var rows = signs { least / dual.values[$0] }
        lu.divide(rows.mutableView())
        let drowned = Matrix(rows: Self.probes, columns: count) { rows[$0, $1] * Float(lengths[$1] / largest) }
        let rounding = largest * squaredNorm(signs { (lengths[$0] / largest).squareRoot() })
        return (squaredNorm(drowned) * (largest / least) * (largest / least), rounding)
    }

    /// What the noise of every row counts in the metric of the inputs, if that of its elements is independent.
    private func squaredLengths() -> [Double] {
        let lengths = AlignedBuffer<Double>(uninitializedCount: noise.rows)
        let view = noise.view, weights = dual.featureWeights
        parallelFor(noise.rows) { row in
            var sum = 0.0
            for column in weights.indices {
                let value = Double(view[row, column])
                sum += value * value * weights[column]
            }
            lengths.base[row] = sum
        }
        return (0..<noise.rows).map { lengths.base[$0] }
    }
}
