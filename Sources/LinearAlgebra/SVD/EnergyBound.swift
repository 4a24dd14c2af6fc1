/// How much less of ‖A‖² the space of computed vectors captures than the best one of its dimension, at most.
///
/// For M = AᵀA ≈ V̂ Λ̂ V̂ᵀ as it was decomposed, λ̂ descending, V̂ = [V, V₂] with V (n × k), E = V₂ᵀ M V,
/// δ ≥ ‖M − V̂ Λ̂ V̂ᵀ‖₂, and any w_1 … w_k > 0:
///
///     Σ_{i≤k} λ_i(M) − ‖A V‖² ≤ Σ_i ‖E_i‖²/w_i + Σ_{l ≤ min(k, n−k)} max(0, λ̂_(k+l) + 2δ − p_l)
///
/// with p_1 ≤ p_2 … the values λ̂_i − w_i. Vectors far above the cut may thus have a large ‖E_i‖ for little: their w_i
/// is the distance from the cut, or here half of it, and η more: w_i = (λ̂_i − λ̂_k)/2 + η.
///
/// - Proof: let M = [[H, Eᵀ], [E, C]] in the basis V̂, W = diag(w), and s the sum of the n − k smallest eigenvalues.
///   [[W, Eᵀ], [E, E W⁻¹ Eᵀ]] is positive semidefinite, so M ≥ diag(P, Q) with P = H − W and Q = C − E W⁻¹ Eᵀ, and
///   s(M) ≥ s(diag(P, Q)), as s is monotone. Of the n − k smallest of these some may belong to P, in place of the
///   largest of Q, so s(diag(P, Q)) ≥ tr Q − Σ_l max(0, q_l − p'_l), q descending, p' ascending. The left side of the
///   bound is tr C − s(M), and tr Q = tr C − Σ_i ‖E_i‖²/w_i. By Weyl's inequality q_l ≤ λ_l(C) ≤ λ̂_(k+l) + δ and
///   p'_l ≥ p_l − δ.
/// - Source: Weyl's inequality after a Schur complement, Ky Fan for the sums; the weights are ours.
struct EnergyBound {
    /// λ̂: all n, descending.
    let eigenvalues: [Double]
    /// k, 0 < k < n.
    let rank: Int

    private var cut: Double { eigenvalues[rank - 1] }

    /// w for an η.
    func weights(_ eta: Double) -> [Double] {
        eigenvalues[..<rank].map { ($0 - cut) / 2 + eta }
    }

    /// The second sum, for the weights of an η.
    func overlap(_ eta: Double, distance: Double) -> Double {
        var sum = 0.0
        for l in 0..<min(rank, eigenvalues.count - rank) {
            let overlap = eigenvalues[rank + l] + 2 * distance + eta - (eigenvalues[rank - 1 - l] + cut) / 2
            if overlap <= 0 { break }
            sum += overlap
        }
        return sum
    }

    /// Where the bound is least, if all columns of E are of one length.
    func least(columnLength: Double, distance: Double) -> (eta: Double, value: Double) {
        let largest = eigenvalues[0]
        var best = (eta: largest, value: Double.infinity), eta = columnLength / 4
        while eta > 0, eta <= largest {
            let residual = weights(eta).reversed().reduce(0) { $0 + 1 / $1 } * columnLength * columnLength
            let value = residual + overlap(eta, distance: distance)
            if value < best.value { best = (eta, value) }
            eta *= 2
        }
        return best
    }

    /// δ for a decomposition whose residuals M V − V Λ̂ are of a typical length: a matrix of such columns in random
    /// directions has a norm of at most twice that.
    static func distance(columnLength: Double) -> Double { 4 * columnLength }
}
