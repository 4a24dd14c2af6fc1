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
    /// Of A_p (r × r) and A_q (k × r).
    let choice: RowChoice
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
        let exact = choice.pivotRows.view
        parallelFor(view.rows) { row in
            for column in 0..<view.columns { view[row, column] += exact[row, column] }
        }
        guard let lu = try? PivotedLU(view.readable), lu.rank == view.rows else { return nil }
        var solution = choice.otherRows()
        let target = solution.mutableView()
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
        guard let largest = lengths.max(), largest > 0, let least = dual.values.last else { return (0, 0) }
        // X K H^(-½) = X K Â⁻ᵀ S⁻¹, both scaled into the range of Float.
        var rows = signs { least / dual.values[$0] }
        lu.divide(rows.mutableView())
        let whole = signs { (lengths[$0] / largest).squareRoot() }
        let both = Matrix(rows: 2 * Self.probes, columns: count) { row, column in
            row < Self.probes
                ? rows[row, column] * Float(lengths[column] / largest) : whole[row - Self.probes, column]
        }
        var product = Matrix(uninitializedRows: both.rows, columns: x.rows)
        multiplyNarrow(MatrixOperand(x), MatrixOperand(both).transposed, into: product.mutableView().transposed)
        func squaredNorm(_ rows: Range<Int>) -> Double {
            sumOfSquares(MatrixOperand(product.view.rows(rows))) / Double(Self.probes)
        }
        let drowned = squaredNorm(0..<Self.probes), rounding = squaredNorm(Self.probes..<both.rows)
        return (drowned * (largest / least) * (largest / least), largest * rounding)
    }

    /// What the noise of every row counts in the metric of the inputs, if that of its elements is independent.
    private func squaredLengths() -> [Double] {
        let lengths = AlignedBuffer<Double>(uninitializedCount: noise.rows)
        let view = noise.view, weights = dual.featureWeights
        parallelFor(noise.rows) { row in
            // Several sums, none of which waits for the other.
            var sums = SIMD4<Double>(repeating: 0)
            for first in stride(from: 0, to: weights.count - weights.count % 4, by: 4) {
                let values = SIMD4<Double>(
                    Double(view[row, first]), Double(view[row, first + 1]), Double(view[row, first + 2]),
                    Double(view[row, first + 3]))
                let scales = SIMD4<Double>(
                    weights[first], weights[first + 1], weights[first + 2], weights[first + 3])
                sums += values * values * scales
            }
            for column in weights.count - weights.count % 4..<weights.count {
                let value = Double(view[row, column])
                sums[0] += value * value * weights[column]
            }
            lengths.base[row] = sums.sum()
        }
        return (0..<noise.rows).map { lengths.base[$0] }
    }
}
