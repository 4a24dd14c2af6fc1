import Foundation
import LinearAlgebra
import MatrixCore

/// The singular values of a tensor at every bond, and the ranks that they recommend.
///
/// Cutting the bonds at r₁ … r_(d−1) loses at most Σ_k Σ_{i>r_k} σ_(k,i)², so ranks are chosen to make that small for
/// few parameters Σ r_(k−1) s_k r_k. The parameters couple neighbouring bonds only: for a price λ of a parameter the
/// best ranks are a shortest path, found exactly over a grid of candidates; λ is halved in on, and pairs of ranks are
/// then moved against each other while that pays. Raising ranks one by one from the start instead ends far from the
/// optimum: a rank pays only together with those beside it.
///
/// - Cost: the singular values of d − 1 unfoldings; the search is some 10⁵ steps for each price tried.
public struct BondSpectra: Sendable {
    public let modes: TrainModes
    /// tails[k][r] = Σ_{i>r} σ_i² at bond k.
    private let tails: [[Double]]
    /// ‖W‖_F².
    public let squaredNorm: Double

    /// - Throws: `LinearAlgebraError`.
    public init(_ weight: MatrixOperand, modes: TrainModes) throws {
        try self.init(tensor: InterleavedOrder(modes).tensor(of: weight), modes: modes)
    }

    init(tensor: Matrix, modes: TrainModes) throws {
        let sizes = modes.sizes
        let spectra = try (1..<max(modes.order, 1)).map { bond in
            let rows = sizes[..<bond].reduce(1, *)
            return try TruncatedSVD().spectrum(MatrixOperand(tensor.reshaped(rows: rows, columns: tensor.count / rows)))
        }
        self.init(modes: modes, spectra: spectra)
    }

    /// - Parameter spectra: descending, of each bond; all have the same Σσ².
    public init(modes: TrainModes, spectra: [[Double]]) {
        precondition(spectra.map(\.count) == modes.bondLimits, "a spectrum of another length than its bond")
        self.modes = modes
        tails = spectra.map { Spectrum.tails($0) }
        squaredNorm = tails.first?[0] ?? 0
    }

    /// Σ_k Σ_{i>r_k} σ²: what cutting at these ranks loses at most.
    public func loss(_ ranks: [Int]) -> Double { zip(tails, ranks).reduce(0) { $0 + $1.0[$1.1] } }

    /// The ranks of least loss whose cores have at most this many numbers; ones where even these have more.
    public func ranks(within parameters: Int) -> [Int] {
        let chosen = search { modes.parameters(ranks: $0) <= parameters } ?? modes.ranks(cappedAt: 1)
        return settled(
            chosen,
            Purpose(value: loss, isAllowed: { modes.parameters(ranks: $0) <= parameters }, wantsLarge: true))
    }

    /// The fewest parameters whose loss is at most `squares`.
    public func ranks(leaving squares: Double) -> [Int] {
        let chosen = search(cheapest: false) { loss($0) > squares } ?? modes.bondLimits
        return settled(
            chosen,
            Purpose(
                value: { Double(modes.parameters(ranks: $0)) }, isAllowed: { loss($0) <= squares }, wantsLarge: false))
    }

    /// The ranks at the border of a condition that holds for high prices of a parameter: the last that satisfy it, or
    /// the first that do not any more.
    private func search(cheapest satisfied: Bool = true, _ condition: ([Int]) -> Bool) -> [Int]? {
        guard squaredNorm > 0 else { return modes.ranks(cappedAt: 1) }
        let scale = squaredNorm / Double(max(1, modes.outFeatures * modes.inFeatures))
        var low = log2Floor
        var high = log2Ceiling
        var best: [Int]?
        for _ in 0..<Self.priceSteps {
            let middle = (low + high) / 2
            let ranks = cheapest(price: scale * exp2(middle))
            let holds = condition(ranks)
            if holds { high = middle } else { low = middle }
            if holds == satisfied { best = ranks }
        }
        return best
    }

    private static let priceSteps = 30
    /// Binary logarithms of the prices tried, in units of the mean square of an element.
    private var log2Floor: Double { -60 }
    private var log2Ceiling: Double { 20 }

    /// Shortest path over the candidates of every bond.
    private func cheapest(price: Double) -> [Int] {
        let sizes = modes.sizes
        let candidates = [[1]] + modes.bondLimits.map(Self.grid) + [[1]]
        var cost = [0.0]
        var origins: [[Int]] = []
        for bond in 1..<candidates.count {
            let before = candidates[bond - 1]
            let here = candidates[bond]
            let size = sizes[bond - 1]
            var next = [Double](repeating: .infinity, count: here.count)
            var origin = [Int](repeating: 0, count: here.count)
            for (index, rank) in here.enumerated() {
                let lost = bond < candidates.count - 1 ? tails[bond - 1][rank] : 0
                for (from, previous) in before.enumerated() where rank <= previous * size && previous <= size * rank {
                    let total = cost[from] + price * Double(previous * size * rank) + lost
                    if total < next[index] { (next[index], origin[index]) = (total, from) }
                }
            }
            cost = next
            origins.append(origin)
        }
        var ranks: [Int] = []
        var index = 0
        for bond in stride(from: origins.count - 1, to: 0, by: -1) {
            index = origins[bond][index]
            ranks.insert(candidates[bond][index], at: 0)
        }
        return ranks
    }

    /// All ranks up to 64, then steps of about two per cent.
    private static func grid(_ limit: Int) -> [Int] {
        var ranks: [Int] = []
        var rank = 1
        while rank < limit {
            ranks.append(rank)
            rank += max(1, rank / 48)
        }
        return ranks + [limit]
    }

    // MARK: - Local search

    /// What ranks are for: the first is to be small while the second stays within a limit.
    private struct Purpose {
        let value: ([Int]) -> Double
        let isAllowed: ([Int]) -> Bool
        /// Whether ranks should be as large as allowed, or as small.
        let wantsLarge: Bool
    }

    /// Moves one rank and sets another as far as the limit allows, while that improves the value. The path found for a
    /// price leaves gaps between one price and the next, which this fills.
    private func settled(_ ranks: [Int], _ purpose: Purpose) -> [Int] {
        var best = ranks
        var bestValue = purpose.value(ranks)
        while true {
            let start = best
            for moved in start.indices {
                for follower in start.indices {
                    for shift in Self.shifts(moved == follower ? 0 : modes.bondLimits[moved]) {
                        var candidate = start
                        candidate[moved] += shift
                        guard (1...modes.bondLimits[moved]).contains(candidate[moved]),
                            let rank = furthest(candidate, follower, purpose)
                        else { continue }
                        candidate[follower] = rank
                        guard modes.objection(toRanks: candidate) == nil else { continue }
                        let value = purpose.value(candidate)
                        if value < bestValue { (best, bestValue) = (candidate, value) }
                    }
                }
            }
            if best == start { return best }
        }
    }

    private static func shifts(_ limit: Int) -> [Int] {
        guard limit > 0 else { return [0] }
        let steps = (0..<Int.bitWidth).prefix { 1 << $0 <= limit }.map { 1 << $0 }
        return steps + steps.map { -$0 }
    }

    /// The largest or smallest rank that is allowed on a bond beside the others; nil if none is.
    private func furthest(_ ranks: [Int], _ bond: Int, _ purpose: Purpose) -> Int? {
        let all = [1] + ranks + [1]
        let sizes = modes.sizes
        let here = bond + 1
        let most = min(all[here - 1] * sizes[here - 1], sizes[here] * all[here + 1], modes.bondLimits[bond])
        let least = max(
            (all[here - 1] + sizes[here - 1] - 1) / sizes[here - 1], (all[here + 1] + sizes[here] - 1) / sizes[here], 1)
        guard least <= most else { return nil }
        func isAllowed(_ rank: Int) -> Bool {
            var changed = ranks
            changed[bond] = rank
            return purpose.isAllowed(changed)
        }
        var (good, bad) = purpose.wantsLarge ? (least, most) : (most, least)
        guard isAllowed(good) else { return nil }
        if isAllowed(bad) { return bad }
        while abs(good - bad) > 1 {
            let middle = (good + bad) / 2
            if isAllowed(middle) { good = middle } else { bad = middle }
        }
        return good
    }
}
