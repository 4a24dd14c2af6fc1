import CompressionCore
import Foundation

/// Which ranks a size gives a group, from its shape alone.
///
/// - `keep ρ`, a matrix: the largest r with r(m + n) + r² ≤ ρ·m·n (r(m + n) − r² with pivots), the same on both sides
///   (unequal ranks of a matrix buy nothing); at least 1.
/// - `keep ρ`, a stack: of all ranks of rows, each with the largest rank of columns that fits into ρ·K·h·m·n, the pair
///   whose kept share Π f(r_k) is expected to be the largest; members are kept whole in the form `preserve`, else
///   compressed to the rank that does best in the same sense.
/// - `rank R`: R in every mode, or what its length and the other modes leave of it.
///
/// The expected share of a mode of length s beside o other numbers, compressed to rank r, is
///
///     f(r) = 1 − (1 − r / min(s, o))^p,   p = 1.6 + 2.2 · min(s, o) / max(s, o),   f = 1 where it is kept whole.
///
/// The exponent tells a long, flat unfolding, whose spectrum is nearly level, from a square one, whose random part
/// already decays. It is fitted to stacks of 2 to 6 layers of trained models of 260K to 22M parameters, which also show
/// that members are best kept whole (but for few attention outputs at ρ = 0.25) and that the side of a projection that
/// faces the hidden states compresses best: between sides of equal length, that one has 0.3 more.
struct TuckerRankRule {
    var layout: TuckerLayout
    /// Ranks of rows and columns are multiples of this where a mode is compressed and the budget allows one.
    var multiple = 1
    var form = TuckerMemberForm.preserve

    /// The ranks that a size allows; nil where the budget is an accuracy or stated by options.
    func ranks(for budget: Budget) -> TuckerRanks? {
        switch budget {
        case .keep(let fraction):
            return layout.kind == .matrix ? matrixRanks(keep: fraction) : stackRanks(keep: fraction)
        case .rank(let rank):
            let capped = TuckerRanks(
                members: min(rank, layout.members), rows: min(rank, layout.rows), columns: min(rank, layout.columns))
            return lowered(layout.clamped(capped))
        case .energy, .error, .options:
            return nil
        }
    }

    private func matrixRanks(keep fraction: Double) -> TuckerRanks {
        let limit = fraction * Double(layout.count)
        let rank = Self.largest(upTo: min(layout.rows, layout.columns)) {
            Double(layout.parameters(TuckerRanks(members: 1, rows: $0, columns: $0))) <= limit
        }
        return lowered(TuckerRanks(members: 1, rows: max(1, rank), columns: max(1, rank)))
    }

    /// The largest number up to a limit that fits, where all below it do; 0 where none does.
    private static func largest(upTo limit: Int, fits: (Int) -> Bool) -> Int {
        var low = 0, high = limit
        while low < high {
            let middle = (low + high + 1) / 2
            if fits(middle) { low = middle } else { high = middle - 1 }
        }
        return low
    }

    private func stackRanks(keep fraction: Double) -> TuckerRanks {
        let limit = Int((fraction * Double(layout.count)).rounded(.down))
        var best = TuckerRanks(members: 1, rows: 1, columns: 1)
        var bestShare = -1.0
        for members in memberRanks {
            for rows in Self.candidates(layout.rows) {
                var ranks = TuckerRanks(members: members, rows: rows, columns: 1)
                guard let columns = largestColumns(ranks, within: limit) else { continue }
                ranks.columns = columns
                ranks = lowered(layout.clamped(ranks))
                let share = expectedShare(ranks)
                if share > bestShare, layout.parameters(ranks) <= limit { (best, bestShare) = (ranks, share) }
            }
        }
        return best
    }

    private var memberRanks: [Int] {
        switch form {
        case .preserve: [layout.members]
        case .full: layout.members == 1 ? [1] : Self.candidates(layout.members - 1)
        }
    }

    /// All ranks of a short mode; some 256 of a long one, its length among them.
    private static func candidates(_ size: Int) -> [Int] {
        let step = max(1, size / 256)
        return Array(stride(from: size, through: 1, by: -step))
    }

    /// The largest rank of the columns with the others given; nil where not even 1 fits.
    private func largestColumns(_ ranks: TuckerRanks, within limit: Int) -> Int? {
        var whole = ranks
        whole.columns = layout.columns
        if layout.parameters(whole) <= limit { return layout.columns }
        // Below the bond the numbers grow with the rank, with pivots too.
        let bond = min(layout.columns - 1, layout.coreCount(ranks))
        let columns = Self.largest(upTo: bond) { columns in
            var ranks = ranks
            ranks.columns = columns
            return layout.parameters(ranks) <= limit
        }
        return columns < 1 ? nil : columns
    }

    private func expectedShare(_ ranks: TuckerRanks) -> Double {
        TuckerMode.allCases.reduce(1) { share, mode in
            let size = layout.size(of: mode), others = layout.count / size
            if ranks[mode] == size { return share }
            let short = Double(min(size, others)), long = Double(max(size, others))
            let left = max(0, 1 - Double(ranks[mode]) / short)
            let bonus = layout.rows == layout.columns && mode == layout.hiddenMode ? 0.3 : 0
            return share * (1 - pow(left, 1.6 + bonus + 2.2 * short / long))
        }
    }

    private func lowered(_ ranks: TuckerRanks) -> TuckerRanks {
        var result = ranks
        for mode in [TuckerMode.rows, .columns] where ranks[mode] < layout.size(of: mode) {
            result[mode] = max(ranks[mode] / multiple * multiple, min(ranks[mode], multiple))
        }
        return result
    }
}
