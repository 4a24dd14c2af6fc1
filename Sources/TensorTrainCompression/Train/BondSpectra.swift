import Foundation
import LinearAlgebra
import MatrixCore

/// The singular values of a tensor at every bond, and the ranks that they recommend.
///
/// Cutting the bonds at r₁ … r_(d−1) loses at most Σ_k Σ_{i>r_k} σ_(k,i)², so ranks are chosen to make that small for
/// few parameters Σ r_(k−1) s_k r_k. The parameters couple neighbouring bonds only: for a price λ of a parameter the best
/// ranks are a shortest path, found exactly over a grid of candidates; λ is halved in on, and single ranks are
/// then changed by one while that is allowed. Raising ranks one by one from the start instead ends far from the
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
        return improved(chosen, by: 1) { modes.parameters(ranks: $0) <= parameters }
    }

    /// The fewest parameters whose loss is at most `squares`.
    public func ranks(leaving squares: Double) -> [Int] {
        let chosen = search(cheapest: false) { loss($0) > squares } ?? modes.bondLimits
        return improved(chosen, by: -1) { loss($0) <= squares }
    }

    /// The ranks at the border of a condition that holds for high prices of a parameter: the last that satisfy it, or
    /// the first that do not any more.
    private func search(cheapest satisfied: Bool = true, _ condition: ([Int]) -> Bool) -> [Int]? {
        guard squaredNorm > 0 else { return modes.ranks(cappedAt: 1) }
        let scale = squaredNorm / Double(max(1, modes.outFeatures * modes.inFeatures))
        var low = log2Floor, high = log2Ceiling, best: [Int]?
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
        var cost = [0.0], origins: [[Int]] = []
        for bond in 1..<candidates.count {
            let before = candidates[bond - 1], here = candidates[bond], size = sizes[bond - 1]
            var next = [Double](repeating: .infinity, count: here.count), origin = [Int](repeating: 0, count: here.count)
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
        var ranks: [Int] = [], index = 0
        for bond in stride(from: origins.count - 1, to: 0, by: -1) {
            index = origins[bond][index]
            ranks.insert(candidates[bond][index], at: 0)
        }
        return ranks
    }

    /// All ranks up to 64, then steps of about two per cent.
    private static func grid(_ limit: Int) -> [Int] {
        var ranks: [Int] = [], rank = 1
        while rank < limit {
            ranks.append(rank)
            rank += max(1, rank / 48)
        }
        return ranks + [limit]
    }

    /// Changes single ranks while the condition allows, each time the one that pays most: the most loss for a parameter
    /// when ranks rise, the least when they fall.
    private func improved(_ ranks: [Int], by step: Int, while allowed: ([Int]) -> Bool) -> [Int] {
        var ranks = ranks
        let limits = modes.bondLimits
        while true {
            var best: (value: Double, ranks: [Int])?
            for bond in ranks.indices where (1...limits[bond]).contains(ranks[bond] + step) {
                var changed = ranks
                changed[bond] += step
                guard modes.objection(toRanks: changed) == nil, allowed(changed) else { continue }
                let parameters = modes.parameters(ranks: changed) - modes.parameters(ranks: ranks)
                let value = (loss(ranks) - loss(changed)) / Double(max(1, abs(parameters)))
                if value > best?.value ?? -.infinity { best = (value, changed) }
            }
            guard let best else { return ranks }
            ranks = best.ranks
        }
    }
}
