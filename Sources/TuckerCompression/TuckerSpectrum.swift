import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// How much of a stack each choice of ranks keeps, from its HOSVD.
///
/// With T rotated into the singular vectors of its three unfoldings, the HOSVD of ranks (a, b, c) keeps exactly the
/// squares of the leading a × b × c box (all heads), so one table of sums answers every choice.
///
/// - Cost: three Gram matrices and their eigenvectors, three products with T; the table has one Double for each number
///   of T, heads added up.
struct TuckerSpectrum {
    private let layout: TuckerLayout
    /// Sums of squares over boxes, with one more place on every axis: ((K + 1)·(d + 1) × (q + 1)).
    private let sums: Matrix64
    let total: Double

    init(_ tensor: TuckerTensor, _ layout: TuckerLayout, route: TruncatedSVD.Route) throws(LinearAlgebraError) {
        self.layout = layout
        var rotated = tensor
        for mode in TuckerMode.allCases where tensor.size(of: mode) > 1 {
            let size = tensor.size(of: mode)
            rotated = rotated.contracted(
                mode, by: try tensor.leadingVectors(mode, count: min(size, tensor.count / size), route: route).vectors)
        }
        sums = Self.sums(rotated, layout)
        total = sumOfSquares(MatrixOperand(tensor.elements))
    }

    private static func sums(_ t: TuckerTensor, _ layout: TuckerLayout) -> Matrix64 {
        let down = layout.rows + 1, across = layout.columns + 1
        var sums = Matrix64(rows: (layout.members + 1) * down, columns: across)
        let table = sums.mutableView(), source = t.elements.view
        for member in 1...layout.members {
            for row in 1...layout.rows {
                var line = 0.0
                for column in 1...layout.columns {
                    if member <= t.members, row <= t.rows, column <= t.columns {
                        for head in 0..<t.heads {
                            let place = ((member - 1) * t.heads + head) * t.rows + row - 1
                            let value = Double(source[place, column - 1])
                            line += value * value
                        }
                    }
                    let above = table[member * down + row - 1, column]
                    let before = table[(member - 1) * down + row, column]
                    let both = table[(member - 1) * down + row - 1, column]
                    table[member * down + row, column] = line + above + before - both
                }
            }
        }
        return sums
    }

    /// What ranks leave out, of `total`.
    func lost(_ ranks: TuckerRanks) -> Double {
        max(0, total - sums[ranks.members * (layout.rows + 1) + ranks.rows, ranks.columns])
    }

    /// Shares of the whole that the singular values of the columns' unfolding have, squared, descending.
    var columnShares: [Double] {
        let last = sums.rows - 1
        return (0..<layout.columns).map { total > 0 ? max(0, sums[last, $0 + 1] - sums[last, $0]) / total : 0 }
    }

    /// The cheapest ranks found that leave out at most `allowed`.
    ///
    /// - Method: for every set of modes that may be compressed, from full ranks down: the step that gives up the least
    ///   per number saved is taken while one fits; steps halve when none does. The cheapest set wins.
    func ranks(losing allowed: Double) -> TuckerRanks {
        var best = layout.full
        var bestCost = Int.max
        for set in 1..<8 {
            let modes = TuckerMode.allCases.filter { set >> $0.rawValue & 1 == 1 && layout.size(of: $0) > 1 }
            guard !modes.isEmpty else { continue }
            let ranks = layout.clamped(shrunk(modes, allowed))
            let cost = layout.parameters(ranks)
            if cost < bestCost { (best, bestCost) = (ranks, cost) }
        }
        return best
    }

    private func shrunk(_ modes: [TuckerMode], _ allowed: Double) -> TuckerRanks {
        var ranks = layout.full
        var share = 16
        while share <= 1 << 20 {
            var best: (ranks: TuckerRanks, price: Double)?
            for mode in modes where ranks[mode] > 1 {
                var next = ranks
                next[mode] = max(1, ranks[mode] - max(1, layout.size(of: mode) / share))
                let lost = lost(next)
                guard lost <= allowed else { continue }
                let saved = Double(cost(ranks, modes) - cost(next, modes))
                let price = (lost - self.lost(ranks)) / max(saved, 1)
                if best.map({ price < $0.price }) ?? true { best = (next, price) }
            }
            if let best { ranks = best.ranks } else { share *= 2 }
            if best == nil, modes.allSatisfy({ layout.size(of: $0) / (share / 2) <= 1 }) { break }
        }
        return ranks
    }

    /// Numbers stored, the factors of all modes that may be compressed included.
    private func cost(_ ranks: TuckerRanks, _ modes: [TuckerMode]) -> Int {
        modes.reduce(layout.coreCount(ranks)) { $0 + layout.size(of: $1) * ranks[$1] }
    }
}
