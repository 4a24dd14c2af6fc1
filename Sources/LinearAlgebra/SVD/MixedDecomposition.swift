import Kernels
import MatrixCore

/// Singular triplets computed in Float, not yet shown to be good enough: each truncation is judged by itself
/// (`SVDProblem+Mixed`).
///
/// Columns are computed one like another, so those of a smaller rank are the first of these, to the bit.
struct MixedDecomposition {
    let purpose: TruncatedSVD.Purpose
    /// V (short × columns), columns of length 1.
    let short: Matrix
    /// U (long × columns), likewise.
    let long: Matrix
    /// Lengths of the columns of A V.
    let values: [Double]
    /// All eigenvalues of the Gram matrix, descending.
    let eigenvalues: [Double]
    let bound: SpectrumBound
    let evidence: SVDEvidence
}

/// How flat the spectrum of a Gram matrix can be, from its trace and its norm alone, before anything is decomposed.
struct SpectrumBound {
    private var trace = 0.0
    private var squares = 0.0

    /// - Parameter gram: of which the lower triangle is read.
    init(_ gram: MatrixView<Float>) {
        let strip = 64, strips = (gram.rows + strip - 1) / strip
        let sums = AlignedBuffer<Double>(count: max(strips, 1), repeating: 0)
        parallelFor(strips) { piece in
            for i in (piece * strip)..<min((piece + 1) * strip, gram.rows) {
                let row = gram.base + i * gram.rowStride, last = Double(row[i])
                sums.base[piece] += 2 * Float.sumOfSquares(row, i + 1) - last * last
            }
        }
        for i in 0..<gram.rows { trace += Double(gram[i, i]) }
        for piece in 0..<strips { squares += sums.base[piece] }
    }

    /// Whether λ_k can be this share of λ₁.
    func allows(rank: Int, _ share: Double) -> Bool {
        let largestOfKth = min(trace / Double(rank), (squares / Double(rank)).squareRoot())
        return largestOfKth >= share * squares / trace
    }
}
