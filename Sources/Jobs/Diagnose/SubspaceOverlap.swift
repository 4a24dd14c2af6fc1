import Kernels
import LinearAlgebra
import MatrixCore

/// How far the leading subspaces of several matrices are the same: the mean of cos² of the principal angles over all
/// pairs, beside what random subspaces of that size would have.
///
/// For orthonormal bases V_1 … V_g (n × k) the mean over pairs of ‖V_aᵀV_b‖²/k; k/n for random ones, 1 for equal ones.
/// A form that ties matrices by a common factor pays only where this is well above chance.
struct SubspaceOverlap: Equatable {
    let measured: Double
    let chance: Double

    /// Share of the way from chance to equality.
    var sharing: Double { chance < 1 ? (measured - chance) / (1 - chance) : 1 }

    /// - Parameter bases: each (n × k), columns orthonormal; at least two.
    init(_ bases: [Matrix]) {
        let rank = bases[0].columns, count = bases.count
        var sum = 0.0
        // ‖V_aᵀV_b‖² summed over a < b, in the size of one pair at a time.
        for a in 0..<count {
            for b in a + 1..<count {
                var product = Matrix64(uninitializedRows: rank, columns: rank)
                multiply(MatrixOperand(bases[a]).transposed, MatrixOperand(bases[b]), into: product.mutableView())
                sum += sumOfSquares(MatrixOperand(product))
            }
        }
        measured = sum / Double(max(count * (count - 1) / 2, 1) * max(rank, 1))
        chance = Double(rank) / Double(max(bases[0].rows, 1))
    }
}

/// The leading directions of a matrix, on both sides.
struct LeadingSubspaces {
    /// (m × k)
    let outputs: Matrix
    /// (n × k)
    let inputs: Matrix

    /// Directions looked at: an eighth of the smaller side, what forms of a quarter of the size can hold.
    static func rank(_ rows: Int, _ columns: Int) -> Int { max(1, min(rows, columns) / 8) }
}
