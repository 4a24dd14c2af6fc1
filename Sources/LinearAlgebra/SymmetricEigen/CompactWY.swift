import KernelContract
import MatrixCore

/// A product of k reflectors as one block, H₀ H₁ … H_{k−1} = I − V T Vᵀ, with V (m × k) and T (k × k) upper triangular.
///
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
}
