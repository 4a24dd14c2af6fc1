/// How a budget is divided over matrices.
public enum AllocationRule: String, Sendable, CaseIterable {
    /// The same share to each, by the floor formula.
    case uniform
    /// More rank where the spectrum is flatter (D-Rank, arXiv 2509.25622): k_g ∝ √(R_g/ω_g), with R = exp(H(σ²/Σσ²))
    /// the effective rank and ω the parameters of a unit of rank.
    case effectiveRank = "effective-rank"
    /// Less removed where the loss of equal ranks is larger (SVD-LLM V2, arXiv 2503.12340): among the matrices of one
    /// role, the share removed is proportional to 1/log L.
    case loss
    /// The least sum of weighted losses: every parameter goes where it buys most.
    case greedy
    /// From the greedy ranks on, what makes the predictions on a text move least (`RankSearch`).
    case perplexity
}
