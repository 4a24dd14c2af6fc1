import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore
import Models
import Planning

/// A plan whose ranks follow from what all matrices lose at every size, and from what that does to the outputs of the
/// model. Matrices that are compressed together have one curve and one size between them.
///
/// 1. The loss of every group at every size, and what it counts (`AllocationCurves`).
/// 2. Ranks by the rule, within the numbers that the target leaves to the selected matrices.
/// 3. By the rule `perplexity`, a search from there on (`AllocationSearch`).
struct AllocatedPlan {
    let checkpoint: Checkpoint
    let modules: [LinearModule]
    /// The same, as they are compressed together.
    let groups: [[LinearModule]]
    let method: PlannedMethod
    let objectives: ObjectiveSource
    let request: CompressionRequest
    let spectra: SpectraCache
    let progress: any ProgressReporter
    let interruption: Interruption

    func make() throws -> CompressionPlan {
        let inventory = try OutputInventory(checkpoint)
        let dense = modules.reduce(0) { $0 + $1.parameters }
        let others = inventory.parameters(of: try plan(groups.map { _ in nil })) - dense
        let curves = AllocationCurves(
            checkpoint: checkpoint, groups: groups, method: method, objectives: objectives, request: request,
            spectra: spectra, progress: progress, interruption: interruption)
        let matrices = try curves.matrices(keep: try share(inventory, others))
        let allocation = Allocation(matrices: matrices, rule: rule)
        let budget = try budget(allocation, inventory, others)
        if rule == .perplexity, let text = request.allocation.text {
            let search = AllocationSearch(
                curves: curves, matrices: matrices, text: text, inventory: inventory,
                plan: { try plan(allocation.budgets($0)) })
            if let ranks = try search.ranks(within: budget) { return try plan(allocation.budgets(ranks)) }
        }
        return try plan(try ranks(allocation, within: budget))
    }

    /// Ranks by a rule, and the budgets that give them.
    private struct Allocation {
        let matrices: [RankAllocation.Matrix]
        let ranks: RankAllocation

        init(matrices: [RankAllocation.Matrix], rule: AllocationRule) {
            self.matrices = matrices
            ranks = RankAllocation(matrices, rule: rule)
        }

        func budgets(_ ranks: [Int?]) -> [Budget?] {
            zip(matrices, ranks).map { matrix, rank in rank.map { matrix.curve.budget(rank: $0) } }
        }
    }

    private var rule: AllocationRule { request.allocation.rule }

    /// Of their numbers, what the target leaves to the selected matrices, as shapes tell.
    private func share(_ inventory: OutputInventory, _ others: Int) throws -> Double {
        let dense = Double(modules.reduce(0) { $0 + $1.parameters })
        switch request.target {
        case .parameters(let count): return Double(count - others) / dense
        case .bytes(let limit):
            let whole = try inventory.fileBytes(of: try plan(groups.map { _ in nil }))
            let now = modules.reduce(0) { $0 + $1.parameters * $1.dtype.bits / 8 }
            let stored = modules.reduce(0) { $0 + $1.parameters * curveType($1).bytes }
            return Double(limit - whole + now) / Double(max(stored, 1))
        case .keep(let fraction): return fraction
        default: return 1
        }
    }

    /// Numbers for the selected matrices.
    /// - Parameter others: numbers of all other tensors.
    private func budget(_ allocation: Allocation, _ inventory: OutputInventory, _ others: Int) throws -> Int {
        let dense = modules.reduce(0) { $0 + $1.parameters }
        switch request.target {
        case .keep(let fraction): return Int((fraction * Double(dense)).rounded(.down))
        case .parameters(let count): return min(count - others, dense)
        case .bytes(let limit): return try largestBudget(allocation, within: limit, inventory, upTo: dense)
        default:
            throw JobError.usage(
                "--allocation \(rule.rawValue) divides a size; give --keep, --remove, --target-params or --target-size")
        }
    }

    private func largestBudget(
        _ allocation: Allocation, within limit: Int, _ inventory: OutputInventory, upTo dense: Int
    ) throws -> Int {
        func bytes(_ budget: Int) throws -> Int {
            try inventory.fileBytes(of: try plan(try ranks(allocation, within: budget)), .largest)
        }
        var low = allocation.ranks.leastParameters, high = dense
        if try bytes(high) <= limit { return high }
        let least = try bytes(low)
        guard least <= limit else {
            throw PlanningError.targetUnreachable(
                target: "\(request.target)", smallest: "\(least) bytes, a rank of 1 in every matrix")
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if try bytes(middle) <= limit { low = middle } else { high = middle }
        }
        return low
    }

    private func ranks(_ allocation: Allocation, within budget: Int) throws -> [Budget?] {
        guard let ranks = allocation.ranks.ranks(within: budget) else {
            throw PlanningError.targetUnreachable(
                target: "\(request.target)",
                smallest: "\(allocation.ranks.leastParameters) parameters of the selected matrices, "
                    + "a rank of 1 in each")
        }
        return allocation.budgets(ranks)
    }

    /// - Parameter budgets: of each group; nil where it stays dense.
    private func plan(_ budgets: [Budget?]) throws -> CompressionPlan {
        CompressionPlan(
            groups: try zip(groups, budgets).flatMap { group, budget in
                if let budget {
                    return [
                        try PlannedGroup(
                            group, of: checkpoint, by: method, budget: budget, factorType: request.factorType)
                    ]
                }
                return group.map {
                    PlannedGroup(
                        dense: $0, of: checkpoint, by: method,
                        because: "left as it is by --allocation \(rule.rawValue)")
                }
            }, target: request.target)
    }

    private func curveType(_ module: LinearModule) -> ElementType {
        PlannedGroup.member(module, of: checkpoint, factorType: request.factorType).factorType
    }
}
