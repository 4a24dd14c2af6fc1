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

    /// The columns of x are independent, so they are split over threads. Where their rows are not contiguous they are
    /// solved in a copy that is small enough for the first-level cache.
    private func solveBlock(_ t: MatrixView<Element>, _ x: MutableMatrixView<Element>) {
        let contiguous = x.columnStride == 1
        let width = contiguous ? 256 : 64
        let unit = unitDiagonal
        let triangle = triangle
        parallelFor((x.columns + width - 1) / width) { piece in
            let part = x.columns((piece * width)..<min((piece + 1) * width, x.columns))
            if contiguous {
                substitute(t, triangle, unit, part)
            } else {
                Scratch.withMemory(bytes: t.rows * part.columns * MemoryLayout<Element>.stride) { memory in
                    let base = memory.bindMemory(to: Element.self, capacity: t.rows * part.columns)
                    let copy = MutableMatrixView(
                        base: base, rows: t.rows, columns: part.columns, rowStride: part.columns)
                    assign(part.readable, to: copy)
                    substitute(t, triangle, unit, copy)
                    assign(copy.readable, to: part)
                }
            }
        }
    }
}

/// target ← source, column after column of the target.
private func assign<Element: MatrixElement>(_ source: MatrixView<Element>, to target: MutableMatrixView<Element>) {
    for j in 0..<source.columns {
        for i in 0..<source.rows { target[i, j] = source[i, j] }
    }
}

/// x ← t⁻¹ · x, row after row, for a t of at most `smallest` rows; the rows of x are contiguous.
///
/// The diagonal is divided by through its inverse, which rounds once more but is several times faster; where the
/// inverse is no normal number, it is divided by as it is.
private func substitute<Element: MatrixElement>(
    _ t: MatrixView<Element>, _ triangle: Triangle, _ unit: Bool, _ x: MutableMatrixView<Element>
) {
    let n = t.rows
    let vectors = VectorKernels<Element>()
    withUnsafeTemporaryAllocation(of: Element.self, capacity: max(n, 1)) { factors in
        guard let factor = factors.baseAddress else { return }
        for step in 0..<n {
            let i = triangle == .lower ? step : n - 1 - step
            let target = x.base + i * x.rowStride
            let known = triangle == .lower ? 0..<i : (i + 1)..<n
            for (place, p) in known.enumerated() { factor[place] = -t[i, p] }
            vectors.addTransposedProduct(x.rows(known).readable, factor, to: target)
            guard !unit else { continue }
            let inverse = 1 / t[i, i]
            if inverse.isNormal {
                for j in 0..<x.columns { target[j] *= inverse }
            } else {
                for j in 0..<x.columns { target[j] /= t[i, i] }
            }
        }
    }
}
