import Planning

/// Divides the groups of a plan into parts that take about as long as each other.
///
/// The most expensive group goes first, always to the part that has least to do so far (the first of several). No part
/// is then more than a third above the best possible (Graham 1969, longest processing time first), and with many
/// groups of few sizes nearly equal. It depends on the plan alone, so every part of a run finds the same.
struct ShardDivision {
    /// For every group of the plan its part, counted from 1. Parts are empty where there are more than groups.
    let parts: [Int]

    init(of plan: CompressionPlan, into count: Int) {
        self.init(costs: plan.groups.map(Self.cost), into: count)
    }

    init(costs: [Double], into count: Int) {
        var parts = [Int](repeating: 1, count: costs.count)
        var loads = [Double](repeating: 0, count: count)
        for group in costs.indices.sorted(by: { (costs[$0], $1) > (costs[$1], $0) }) {
            let least = loads.indices.min { loads[$0] < loads[$1] } ?? 0
            parts[group] = least + 1
            loads[least] += costs[group]
        }
        self.parts = parts
    }

    /// Multiply-adds of a decomposition, roughly: the Gram matrix of the short side s, its eigenvectors, the factors.
    /// A matrix that stays dense costs nothing.
    private static func cost(of group: PlannedGroup) -> Double {
        if group.keptDense != nil { return 0 }
        return group.modules.reduce(0) { total, planned in
            let short = Double(min(planned.module.outFeatures, planned.module.inFeatures))
            return total + 2 * Double(planned.module.parameters) * short + 4 * short * short * short
        }
    }
}
