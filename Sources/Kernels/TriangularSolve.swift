import MatrixCore

/// Which half of a triangular matrix holds its numbers; the other half is not read.
public enum Triangle: Sendable { case lower, upper }

/// x ← t⁻¹ · x for a triangular t (n × n) and x (n × m), in place (TRSM). Solve with tᵀ through `t.transposed` and the
/// other triangle; solve from the right through `x.transposed`.
public func solveTriangular(
    _ t: MatrixView<Double>, _ triangle: Triangle, unitDiagonal: Bool = false, into x: MutableMatrixView<Double>
) {
    naiveSolve(t, triangle, unitDiagonal, x)
}

public func solveTriangular(
    _ t: MatrixView<Float>, _ triangle: Triangle, unitDiagonal: Bool = false, into x: MutableMatrixView<Float>
) {
    naiveSolve(t, triangle, unitDiagonal, x)
}

private func naiveSolve<Element: MatrixElement>(
    _ t: MatrixView<Element>, _ triangle: Triangle, _ unit: Bool, _ x: MutableMatrixView<Element>
) {
    let n = t.rows
    for step in 0..<n {
        let i = triangle == .lower ? step : n - 1 - step
        let done = triangle == .lower ? 0..<i : (i + 1)..<n
        for j in 0..<x.columns {
            var value = x[i, j]
            for p in done { value -= t[i, p] * x[p, j] }
            x[i, j] = unit ? value : value / t[i, i]
        }
    }
}
