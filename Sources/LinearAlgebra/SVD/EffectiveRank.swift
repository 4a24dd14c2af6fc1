import Foundation

/// How many directions a spectrum is spread over: exp(H(p)) with p_i = σ_i² / Σσ² and H the entropy.
///
/// From 1, where one singular value holds all the energy, to n, where n are equal; 0 for a zero matrix. A rank well
/// below it loses energy in proportion.
///
/// - Source: the effective rank of D-Rank, arXiv 2509.25622 (Roy & Vetterli 2007 with squared singular values).
public func effectiveRank(of singularValues: [Double]) -> Double {
    // Scaled by the largest, so that no square overflows.
    guard let largest = singularValues.max(), largest > 0 else { return 0 }
    let energies = singularValues.map { ($0 / largest) * ($0 / largest) }
    let total = energies.reduce(0, +)
    let entropy = energies.reduce(0) { sum, energy in
        let share = energy / total
        return share > 0 ? sum - share * log(share) : sum
    }
    return exp(entropy)
}

/// The smallest rank whose best approximation keeps a share of Σσ²; singular values descending.
public func rankKeeping(_ share: Double, of singularValues: [Double]) -> Int {
    guard let largest = singularValues.first, largest > 0 else { return 0 }
    let energies = singularValues.map { ($0 / largest) * ($0 / largest) }
    let wanted = share * energies.reduce(0, +)
    var kept = 0.0
    for (index, energy) in energies.enumerated() {
        if kept >= wanted { return index }
        kept += energy
    }
    return energies.count
}
