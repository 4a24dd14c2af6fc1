import MatrixCore

/// Which half of a triangular matrix holds its numbers; the other half is not read.
public enum Triangle: Sendable { case lower, upper }

/// x ← t⁻¹ · x for a triangular t (n × n) and x (n × m), in place (TRSM). Solve with tᵀ through `t.transposed` and the
/// other triangle; solve from the right through `x.transposed`.
public func solveTriangular(
    _ t: MatrixView<Double>, _ triangle: Triangle, unitDiagonal: Bool = false, into x: MutableMatrixView<Double>
) {
    TriangularSolve(triangle: triangle, unitDiagonal: unitDiagonal) { a, b, c in
        multiply(MatrixOperand(a), MatrixOperand(b), into: c, alpha: -1, beta: 1)
    }.solve(t, x)
}

public func solveTriangular(
    _ t: MatrixView<Float>, _ triangle: Triangle, unitDiagonal: Bool = false, into x: MutableMatrixView<Float>
) {
    TriangularSolve(triangle: triangle, unitDiagonal: unitDiagonal) { a, b, c in
        multiply(MatrixOperand(a), MatrixOperand(b), into: c, alpha: -1, beta: 1)
    }.solve(t, x)
}

/// Substitution by halves: solve with one half of t, subtract its part from the rest by a product, solve the rest. All
/// but the blocks on the diagonal is matrix products.
private struct TriangularSolve<Element: MatrixElement> {
    let triangle: Triangle
    let unitDiagonal: Bool
    /// c ← c − a · b
    let subtractProduct: (MatrixView<Element>, MatrixView<Element>, MutableMatrixView<Element>) -> Void
    /// Side of the blocks that are solved directly.
    private let smallest = 32

    init(
        triangle: Triangle, unitDiagonal: Bool,
        subtractProduct: @escaping (MatrixView<Element>, MatrixView<Element>, MutableMatrixView<Element>) -> Void
    ) {
        self.triangle = triangle
        self.unitDiagonal = unitDiagonal
        self.subtractProduct = subtractProduct
    }

    func solve(_ t: MatrixView<Element>, _ x: MutableMatrixView<Element>) {
        precondition(t.rows == t.columns && t.rows == x.rows, "shapes do not fit")
        if t.rows <= smallest {
            solveBlock(t, x)
            return
        }
        let n = t.rows
        let half = (n / 2 + smallest - 1) / smallest * smallest
        let first = triangle == .lower ? 0..<half : half..<n
        let second = triangle == .lower ? half..<n : 0..<half
        solve(t.block(rows: first, columns: first), x.rows(first))
        subtractProduct(t.block(rows: second, columns: first), x.rows(first).readable, x.rows(second))
        solve(t.block(rows: second, columns: second), x.rows(second))
    }

    /// The columns of x are independent, so they are split over threads.
    private func solveBlock(_ t: MatrixView<Element>, _ x: MutableMatrixView<Element>) {
        let width = 256
        let unit = unitDiagonal
        let triangle = triangle
        parallelFor((x.columns + width - 1) / width) { piece in
            let columns = (piece * width)..<min((piece + 1) * width, x.columns)
            substitute(t, triangle, unit, x.columns(columns))
        }
    }
}

/// x ← t⁻¹ · x, row after row.
private func substitute<Element: MatrixElement>(
    _ t: MatrixView<Element>, _ triangle: Triangle, _ unit: Bool, _ x: MutableMatrixView<Element>
) {
    let n = t.rows
    for step in 0..<n {
        let i = triangle == .lower ? step : n - 1 - step
        for p in triangle == .lower ? 0..<i : (i + 1)..<n {
            let factor = t[i, p]
            for j in 0..<x.columns { x[i, j] -= factor * x[p, j] }
        }
        if !unit {
            let diagonal = t[i, i]
            for j in 0..<x.columns { x[i, j] /= diagonal }
        }
    }
}
