import MatrixCore

/// The eigenvectors of a Gram matrix, from which truncations to several ranks are made.
///
/// What a truncation needs is made when the first one asks for it, for all columns of the largest rank; those of a
/// smaller one are the first of these, to the bit, because a column of a product does not depend on the others. A few
/// columns alone would be multiplied by another kernel with sums in another order, so there are never fewer than
/// `leastColumns`.
final class GramDecomposition {
    /// Singular values, descending, as the Gram matrix has them.
    let values: [Double]
    /// Whether a single truncation is made of it; then nothing is kept for another.
    let isCutOnce: Bool
    let evidence: SVDEvidence
    /// Its vectors are those of the tridiagonal matrix until `transformed`.
    private(set) var eigen: ReducedEigen
    /// The back-transformed vectors (short × columns), in Double.
    private var transformed: Matrix64?
    /// Both factors in Float.
    var rounded: RoundedFactors?
    /// A · vectors in Double, and the lengths of its columns.
    var product: (long: Matrix64, lengths: [Double])?

    struct RoundedFactors {
        let short: Matrix  // (short × columns)
        let long: Matrix  // (long × columns)
    }

    private static let leastColumns = 8

    /// Columns to compute for a rank; none for the spectrum alone.
    static func columns(forRank rank: Int) -> Int { rank == 0 ? 0 : max(rank, leastColumns) }

    init(values: [Double], isCutOnce: Bool, eigen: ReducedEigen, evidence: SVDEvidence) {
        self.values = values
        self.isCutOnce = isCutOnce
        self.eigen = eigen
        self.evidence = evidence
    }

    /// All vectors of the Gram matrix that were computed (short × columns).
    func transformedVectors() -> Matrix64 {
        if let transformed { return transformed }
        var copy = eigen
        // Then nobody asks for the vectors of the tridiagonal matrix again.
        if isCutOnce { eigen.releaseVectors() }
        copy.backTransform()
        transformed = copy.vectors
        return copy.vectors
    }

    /// The first of them.
    func vectors(rank: Int) -> Matrix64 { transformedVectors().leadingColumns(rank) }
}
