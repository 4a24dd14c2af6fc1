import CompressionCore

/// Which rank a budget gives a matrix (m × n), for plain factors.
///
/// - `keep ρ`: ⌊ρ·m·n/(m + n)⌋, the largest rank whose r(m + n) numbers are within ρ of the dense ones; at least 1.
/// - `rank R`: R.
/// - `energy F`: the smallest rank with Σ_{i≤r} σ_i² ≥ F · Σσ².
/// - `error F`: the smallest rank with √(Σ_{i>r} σ_i² / Σσ²) ≤ F.
///
/// Ranks are then made a multiple of `multiple`: downwards where the budget is a size (a rank below the multiple stays
/// as it is), upwards where it is an accuracy.
struct RankRule {
    var rows: Int
    var columns: Int
    var multiple = 1

    /// The rank that a size allows; nil where the budget is an accuracy.
    func rank(for budget: Budget) -> Int? {
        switch budget {
        case .keep(let fraction):
            let cost = Double(rows + columns)
            return lowered(max(1, Int((fraction * Double(rows) * Double(columns) / cost).rounded(.down))))
        case .rank(let rank):
            return lowered(rank)
        case .energy, .error, .options:
            return nil
        }
    }

    /// The rank for a budget, given the singular values in the metric of the objective, descending.
    func rank(for budget: Budget, spectrum: [Double]) -> Int {
        switch budget {
        case .keep, .rank, .options:
            return rank(for: budget) ?? 1
        case .energy(let share):
            return raised(smallestRank(leaving: 1 - share, of: spectrum))
        case .error(let bound):
            return raised(smallestRank(leaving: bound * bound, of: spectrum))
        }
    }

    /// Whether factors of this rank are fewer numbers than the matrix.
    func saves(_ rank: Int) -> Bool { rank * (rows + columns) < rows * columns }

    private func smallestRank(leaving share: Double, of spectrum: [Double]) -> Int {
        // From the smallest value up, so that small squares are not lost in a large sum.
        var tails = [Double](repeating: 0, count: spectrum.count + 1)
        for index in spectrum.indices.reversed() {
            tails[index] = tails[index + 1] + spectrum[index] * spectrum[index]
        }
        let allowed = share * tails[0]
        return max(1, tails.firstIndex { $0 <= allowed } ?? spectrum.count)
    }

    private func lowered(_ rank: Int) -> Int { max(rank / multiple * multiple, min(rank, multiple)) }
    private func raised(_ rank: Int) -> Int { (rank + multiple - 1) / multiple * multiple }
}
