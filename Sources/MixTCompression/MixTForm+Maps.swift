import Kernels
import MatrixCore

// The linear map from branches to weights, and its transpose. Element (a, i, b) of a side, a copy outside of the
// window, a place in it and a copy inside, is at (a · p + i) · B + b.

extension MixTForm {
    /// W' ← (1/N) Σ_k I ⊗ T_k ⊗ I, without the padding.
    ///
    /// - Parameters:
    ///   - values: T_0 … T_(N−1), each (p × q).
    ///   - weight: (m × n), overwritten.
    /// - Cost: one pass over W' and N·d^(1−N) of one.
    func expand<Element: MatrixElement>(_ values: [DenseMatrix<Element>], into weight: MutableMatrixView<Element>) {
        let scale = 1 / Element(branches)
        let views = values.map(\.view)
        parallelFor(rows) { row in
            for column in 0..<columns { weight[row, column] = 0 }
            for (k, branch) in views.enumerated() {
                let inner = inner(k)
                let height = branchRows * inner
                let width = branchColumns * inner
                let start = row / height * width + row % inner
                let source = branch.base + row % height / inner * branch.rowStride
                // Columns behind the last one of the weight are padding.
                let inside = start < columns ? (columns - start + inner - 1) / inner : 0
                for j in 0..<min(branchColumns, inside) { weight[row, start + j * inner] += scale * source[j] }
            }
        }
    }

    /// T_k[i, j] ← (1/N) Σ_{a,b} W[(a, i, b), (a, j, b)]: the transpose of `expand`.
    ///
    /// - Parameter weight: (m × n); its padding is zero.
    func contract(_ weight: MatrixOperand) -> [Matrix64] {
        (0..<branches).map { k in
            let outer = outer(k)
            let inner = inner(k)
            let scale = 1 / Double(branches)
            var branch = Matrix64(rows: branchRows, columns: branchColumns)
            let sums = branch.mutableView()
            parallelFor(branchRows) { i in
                for a in 0..<outer {
                    for b in 0..<inner {
                        let row = (a * branchRows + i) * inner + b
                        let start = a * branchColumns * inner + b
                        guard row < rows, start < columns else { continue }
                        let inside = (columns - start + inner - 1) / inner
                        for j in 0..<min(branchColumns, inside) { sums[i, j] += scale * weight[row, start + j * inner] }
                    }
                }
            }
            return branch
        }
    }
}
