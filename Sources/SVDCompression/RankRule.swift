import CompressionCore
import LinearAlgebra
import MatrixCore

/// Which rank a budget gives a matrix (m × n).
///
/// - `keep ρ`: the largest rank whose numbers are within ρ of the dense ones, at least 1. Factors have r(m + n) of them,
///   so r = ⌊ρ·m·n/(m + n)⌋; pivot storage has r(m + n − r), so r = ⌊½(m + n − √((m + n)² − 4ρ·m·n))⌋.
/// - `rank R`: R.
/// - `energy F`: the smallest rank with Σ_{i≤r} σ_i² ≥ F · Σσ².
/// - `error F`: the smallest rank with √(Σ_{i>r} σ_i² / Σσ²) ≤ F.
///
/// Ranks are then made a multiple of `multiple`: downwards where the budget is a size (a rank below the multiple stays
/// as it is), upwards where it is an accuracy. A matrix that is stored as factors has no rank above theirs.
struct RankRule {
    var rows: Int
    var columns: Int
    var storage = MethodSettings.Storage.factors
    var multiple = 1
    /// The factors that the matrix is stored as, if it is.
    var stored: GroupMember.StoredFactors?

    /// Numbers stored at a rank.
    func numbers(_ rank: Int) -> Int {
        switch storage {
        case .factors: rank * (rows + columns)
        case .pivot: rank * (rows + columns - rank)
        }
    }

    /// Whether a rank is fewer numbers than the matrix is stored as; the position of a pivot counts as
    /// two numbers, which is its size in the smallest type.
    func saves(_ rank: Int) -> Bool {
        let now = stored?.parameters ?? rows * columns
        switch storage {
        case .factors: return numbers(rank) < now
        case .pivot: return rank < min(rows, columns) && numbers(rank) + 2 * rank < now
        }
    }

    /// The rank that a size allows; nil where the budget is an accuracy.
    func rank(for budget: Budget) -> Int? {
        switch budget {
        case .keep(let fraction): capped(lowered(max(1, largestRank(within: fraction * Double(rows) * Double(columns)))))
        case .rank(let rank): capped(lowered(rank))
        case .energy, .error, .options: nil
        }
    }

    /// The rank for a budget, given the singular values in the metric of the objective, descending.
    func rank(for budget: Budget, spectrum: [Double]) -> Int {
        switch budget {
        case .keep, .rank, .options:
            return rank(for: budget) ?? 1
        case .energy(let share):
            return capped(raised(smallestRank(leaving: 1 - share, of: spectrum)))
        case .error(let bound):
            return capped(raised(smallestRank(leaving: bound * bound, of: spectrum)))
        }
    }

    private func largestRank(within numbers: Double) -> Int {
        let sides = Double(rows + columns)
        switch storage {
        case .factors:
            return Int((numbers / sides).rounded(.down))
        case .pivot:
            // Beyond the smaller side more rank is fewer numbers, which means nothing.
            let root = max(0, sides * sides - 4 * numbers).squareRoot()
            var rank = min(Int(((sides - root) / 2).rounded(.down)) + 1, min(rows, columns))
            while rank > 0, Double(self.numbers(rank)) > numbers { rank -= 1 }
            return rank
        }
    }

    private func smallestRank(leaving share: Double, of spectrum: [Double]) -> Int {
        // From the smallest value up, so that small squares are not lost in a large sum.
        var tails = [Double](repeating: 0, count: spectrum.count + 1)
        for index in spectrum.indices.reversed() {
            tails[index] = tails[index + 1] + spectrum[index] * spectrum[index]
        }
        let allowed = share * tails[0]
        return max(1, tails.firstIndex { $0 <= allowed } ?? spectrum.count)
    }

    private func capped(_ rank: Int) -> Int { min(rank, stored?.rank ?? rank) }
    private func lowered(_ rank: Int) -> Int { max(rank / multiple * multiple, min(rank, multiple)) }
    private func raised(_ rank: Int) -> Int { (rank + multiple - 1) / multiple * multiple }
}

extension TruncatedSVD {
    /// Decomposes with the rank that a rule gives for a budget; `chosen` is that rank, even above min(m, n).
    /// A rank that saves nothing is not computed.
    func decompose(
        _ matrix: MatrixOperand, rule: RankRule, budget: Budget, _ chosen: inout Int
    ) throws -> SVDResult {
        if let rank = rule.rank(for: budget) {
            chosen = rank
            return try decompose(matrix, rank: rank)
        }
        return try decompose(matrix) { spectrum in
            chosen = rule.rank(for: budget, spectrum: spectrum)
            return rule.saves(chosen) ? chosen : 0
        }
    }
}
