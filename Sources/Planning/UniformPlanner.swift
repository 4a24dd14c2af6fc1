import Checkpoints
import CompressionCore
import MatrixCore

/// Divides a target over the selected matrices, the same to each: allocation `uniform`.
///
/// `keep`, `rank`, `energy` and `error` are passed on to every group. A number of parameters or bytes of the whole
/// output becomes the largest `keep` whose result is within it.
public struct UniformPlanner: Sendable {
    /// What factors are rounded to; nil keeps the type of each weight.
    public var factorType: ElementType?

    public init(factorType: ElementType? = nil) {
        self.factorType = factorType
    }

    /// - Throws: `PlanningError`, or `CompressionError` of the method.
    public func plan(
        _ modules: [LinearModule], of checkpoint: Checkpoint, with method: PlannedMethod, target: Target
    ) throws -> CompressionPlan {
        let inventory = try OutputInventory(checkpoint)
        let groups = try ModuleGroups(modules, of: checkpoint, for: method.compressor).groups
        func plan(_ budget: Budget) throws -> CompressionPlan {
            CompressionPlan(
                groups: try groups.map {
                    try PlannedGroup($0, of: checkpoint, by: method, budget: budget, factorType: factorType)
                }, target: target)
        }
        switch target {
        case .rank(let rank): return try plan(.rank(rank))
        case .energy(let share): return try plan(.energy(share))
        case .error(let bound): return try plan(.error(bound))
        case .options: return try plan(.options)
        case .plan: preconditionFailure("a plan is divided already")
        case .keep(let fraction):
            let plan = try plan(.keep(fraction))
            let dense = modules.reduce(0) { $0 + $1.parameters }
            let kept = inventory.parameters(ofSelected: plan, .largest)
            if Double(kept) > fraction * Double(dense) {
                throw PlanningError.targetUnreachable(
                    target: "\(target)", smallest: "\(kept) of \(dense) parameters, the smallest form of every matrix")
            }
            return plan
        case .parameters(let count):
            return try largest(within: count, "parameters", plan) { inventory.parameters(of: $0, .largest) }
        case .bytes(let count):
            return try largest(within: count, "bytes", plan) { try inventory.fileBytes(of: $0, .largest) }
        }
    }

    /// The plan of the largest uniform `keep` whose cost is within a limit.
    ///
    /// The cost grows with `keep` in steps, so halving an interval finds the last step that fits; 60 halvings end at
    /// neighbouring numbers. Everything dense is tried first.
    private func largest(
        within limit: Int, _ unit: String, _ plan: (Budget) throws -> CompressionPlan,
        cost: (CompressionPlan) throws -> Int
    ) throws -> CompressionPlan {
        var low = 0.0, high = 1.0
        var best = try plan(.keep(low))
        let smallest = try cost(best)
        guard smallest <= limit else {
            throw PlanningError.targetUnreachable(
                target: "\(best.target)", smallest: "\(smallest) \(unit), the smallest form of every matrix")
        }
        let whole = try plan(.keep(high))
        if try cost(whole) <= limit { return whole }
        for _ in 0..<60 {
            let middle = (low + high) / 2
            let candidate = try plan(.keep(middle))
            if try cost(candidate) <= limit {
                low = middle
                best = candidate
            } else {
                high = middle
            }
        }
        return best
    }
}
