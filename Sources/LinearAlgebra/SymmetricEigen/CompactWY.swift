import KernelContract
import Kernels
import MatrixCore

/// A product of k reflectors as one block, H₀ H₁ … H_{k−1} = I − V T Vᵀ, with V (m × k) and T (k × k) upper triangular.
///
/// - Cost: `apply` to c columns is 4 m k c + 2 k² c flops, all in matrix products.
/// - Source: Schreiber and Van Loan, "A storage-efficient WY representation for products of Householder
///   transformations", 1989.
enum CompactWY {
    /// T from VᵀV and the factors τ; `into` may not be `gram`.
    static func triangularFactor<Element: FactorScalar>(
        gram: MatrixView<Element>, taus: UnsafePointer<Element>, into t: MutableMatrixView<Element>
    ) {
        Element.reflectorKernels.triangularFactor(
            TriangularFactor(
                gram: gram.base, gramStride: gram.rowStride, taus: taus, t: t.base, tStride: t.rowStride,
                count: t.rows))
    }

    /// x ← (I − V T Vᵀ) x, x (m × c), in place; `workspace` holds 2 · k · c elements.
    static func apply<Element: FactorScalar>(
        _ v: MatrixView<Element>, _ t: MatrixView<Element>, to x: MutableMatrixView<Element>,
        workspace: AlignedBuffer<Element>
    ) {
        let k = t.rows
        let c = x.columns
        precondition(workspace.count >= 2 * k * c, "the workspace is too small")
        let projected = MutableMatrixView(base: workspace.base, rows: k, columns: c, rowStride: c, owner: workspace)
        let mixed = MutableMatrixView(base: workspace.base + k * c, rows: k, columns: c, rowStride: c, owner: workspace)
        Element.multiply(v.transposed, x.readable, into: projected, alpha: 1, beta: 0)
        Element.multiply(t, projected.readable, into: mixed, alpha: 1, beta: 0)
        Element.multiply(v, mixed.readable, into: x, alpha: -1, beta: 1)
    }
}
