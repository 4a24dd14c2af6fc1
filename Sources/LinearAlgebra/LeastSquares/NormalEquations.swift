import MatrixCore

/// Least squares from second moments: X of (G + λI) X = C, where G = AᵀA (n × n) and C = AᵀB (n × p) were accumulated
/// and A itself is gone.
///
/// - Method: Cholesky, with its shift where G is not definite, and one step of refinement against G + λI.
/// - Cost: n³/3 + 6n²p operations. The condition of A counts squared: `LeastSquares` is the route where A is at hand.
public struct NormalEquations: Sendable {
    /// X (n × p).
    public let solution: Matrix64
    /// What the factorisation added to the diagonal beside the ridge; 0 in the sound case.
    public let shift: Double
    /// ‖C − (G + λI) X‖_F / ‖C‖_F.
    public let relativeResidual: Double

    /// - Parameter ridge: λ ≥ 0, in the units of G.
    /// - Throws: `shapeMismatch`, `nonFinite`, `notPositiveDefinite`.
    public init(
        gram: Matrix64, right: Matrix64, ridge: Double = 0, cholesky: Cholesky.Options = .init()
    ) throws(LinearAlgebraError) {
        guard right.rows == gram.rows else {
            throw .shapeMismatch(
                rows: right.rows, columns: right.columns, expected: "as tall as the \(gram.rows) rows of G")
        }
        try requireFinite(right.view)
        var shifted = gram
        if ridge > 0 {
            let view = shifted.mutableView()
            for i in 0..<min(gram.rows, gram.columns) { view[i, i] += ridge }
        }
        let factor = try Cholesky(shifted, options: cholesky)
        var x = right
        factor.solve(into: x.mutableView())
        var residual = right
        Double.multiply(shifted.view, x.view, into: residual.mutableView(), alpha: -1, beta: 1)
        var correction = residual
        factor.solve(into: correction.mutableView())
        let target = x.mutableView()
        Double.addScaled(correction.view.base, by: 1, to: target.base, x.count)
        Double.copy(right.view, scaledBy: 1, into: residual.mutableView())
        Double.multiply(shifted.view, x.view, into: residual.mutableView(), alpha: -1, beta: 1)
        let norm = Double.sumOfSquares(right.view.base, right.count).squareRoot()
        solution = x
        shift = factor.shift
        relativeResidual = norm == 0 ? 0 : Double.sumOfSquares(residual.view.base, right.count).squareRoot() / norm
    }
}
