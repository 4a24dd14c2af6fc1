import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore
import Models
import Planning

/// A plan whose ranks follow from the spectra of all matrices, and from what their errors do to the outputs of the model.
///
/// 1. The loss of every matrix at every rank, in the metric of the objective: its spectrum.
/// 2. What its errors count. With an objective that knows gradients, their cost in predictions follows from the
///    spectrum itself. Otherwise with text, the sensitivity of each: how far the outputs move when it alone is truncated
///    as far as a uniform budget asks, divided by its relative squared error there. Without, every relative error counts
///    the same, that of an expert in proportion to the tokens that statistics saw it read.
/// 3. Ranks by the rule, within the numbers that the target leaves to the selected matrices.
///
/// - Cost: one decomposition of each matrix, for its spectrum and its sensitivity; memory is that of one matrix, as
///   only spectra are kept. So the result, whose ranks follow from all spectra, needs a decomposition of its own; in
///   sequence that is of another matrix anyway. Sensitivities take a pass over the sequences for each matrix.
struct AllocatedPlan {
    let checkpoint: Checkpoint
    let modules: [LinearModule]
    let method: PlannedMethod
    let objectives: ObjectiveSource
    let request: CompressionRequest
    let spectra: SpectraCache
    let progress: any ProgressReporter
    let interruption: Interruption

    func make() throws -> CompressionPlan {
        guard method.compressor.grouping == .single else {
            throw JobError.usage("--allocation \(rule.rawValue) is for matrices that are compressed one by one")
        }
        let inventory = try OutputInventory(checkpoint)
        let dense = modules.reduce(0) { $0 + $1.parameters }
        let others = inventory.parameters(of: try plan(modules.map { _ in nil })) - dense
        let matrices = try matrices(try weighing(inventory, others))
        let allocation = RankAllocation(matrices, rule: rule)
        let budget = try budget(allocation, inventory, others)
        if rule == .perplexity, let text = request.allocation.text {
            let search = RankSearch(matrices, within: budget)
            if let ranks = try searched(search, inventory, text) { return try plan(ranks) }
        }
        return try plan(try ranks(allocation, within: budget))
    }

    private var rule: AllocationRule { request.allocation.rule }

    // MARK: Curves

    /// Every matrix with what it loses at every rank, and what that counts.
    private func matrices(_ weighing: Weighing) throws -> [RankAllocation.Matrix] {
        progress.begin(ProgressStage("spectra", total: modules.count, unit: .items("matrices")))
        defer { progress.end() }
        return try modules.enumerated().map { index, module in
            try interruption.check()
            defer { progress.advance(by: 1, module.name) }
            let found = try spectra.curve(of: member(module), by: method.compressor) {
                weighing.measured?.rank($0)
            } task: {
                try task(for: module)
            }
            guard let (curve, truncated) = found else {
                let name = type(of: method.compressor).method
                throw JobError.usage(
                    "--allocation \(rule.rawValue) needs spectra, which \(name) does not have; give --allocation uniform")
            }
            checkpoint.dropPages(of: module)
            let sensitivity =
                switch weighing {
                case .costs(let costs): costs[index] * curve.total
                case .relative(let weights): weights[index]
                case .measured(let measured): try measured.value(of: module.name, curve, truncated)
                }
            return RankAllocation.Matrix(curve: curve, kind: module.role.rawValue, sensitivity: sensitivity)
        }
    }

    private func member(_ module: LinearModule) -> GroupMember {
        PlannedGroup.member(module, of: checkpoint, factorType: request.factorType)
    }

    private func task(for module: LinearModule) throws -> CompressionTask {
        try Failure.naming(file: checkpoint.file(of: module.weightName), tensor: module.weightName) {
            let weight = try checkpoint.finiteWeight(of: module)
            return CompressionTask(
                member: member(module),
                objective: try objectives.objective(
                    for: module, weight: weight.matrix, factors: weight.factors))
        }
    }

    // MARK: Sensitivities

    /// What errors count, with a value for each matrix.
    private enum Weighing {
        /// Per squared error.
        case costs([Double])
        /// Per relative squared error.
        case relative([Double])
        /// The same, still to be measured.
        case measured(MeasuredSensitivity)

        var measured: MeasuredSensitivity? {
            if case .measured(let measured) = self { measured } else { nil }
        }
    }

    private func weighing(_ inventory: OutputInventory, _ others: Int) throws -> Weighing {
        let costs = try modules.compactMap { try objectives.cost(of: $0) }
        if costs.count == modules.count { return .costs(costs) }
        guard let text = request.allocation.text else {
            // 1, and for experts how often they are chosen, where statistics say so.
            return .relative(try RoutingWeights(of: modules) { try objectives.tokens(of: $0) }.values)
        }
        return .measured(
            MeasuredSensitivity(
                divergence: try OutputDivergence(checkpoint, text: text, samples: Self.sensitivitySamples),
                keep: try share(inventory, others)))
    }

    /// Of their numbers, what the target leaves to the selected matrices, as shapes tell.
    private func share(_ inventory: OutputInventory, _ others: Int) throws -> Double {
        let dense = Double(modules.reduce(0) { $0 + $1.parameters })
        switch request.target {
        case .parameters(let count): return Double(count - others) / dense
        case .bytes(let limit):
            let whole = try inventory.fileBytes(of: try plan(modules.map { _ in nil }))
            let now = modules.reduce(0) { $0 + $1.parameters * $1.dtype.bits / 8 }
            let stored = modules.reduce(0) { $0 + $1.parameters * member($1).factorType.bytes }
            return Double(limit - whole + now) / Double(max(stored, 1))
        case .keep(let fraction): return fraction
        default: return 1
        }
    }

    private func truncated(_ module: LinearModule, _ rank: Int) throws -> (any LinearOperator)? {
        let outcome = try method.compressor.compress([try task(for: module)], budget: .rank(rank))[0]
        guard case .compressed(let compressed, _) = outcome else { return nil }
        return compressed
    }

    /// Sequences that sensitivities and searches are measured on: the first, and for searches the last.
    private static let sensitivitySamples = 16

    // MARK: Ranks

    /// Ranks by the predictions of the whole model with every matrix truncated apart; nil where the search has no start.
    private func searched(
        _ search: RankSearch, _ inventory: OutputInventory, _ text: SequenceSource
    ) throws -> [Int?]? {
        let measure = TruncationMeasure(
            modules.map(\.name),
            try OutputDivergence(checkpoint, text: text, samples: Self.sensitivitySamples, isFromEnd: true)
        ) { try truncated(modules[$0], $1) }
        progress.begin(
            ProgressStage("search", total: request.allocation.searchEvaluations, unit: .items("measurements")))
        defer { progress.end() }
        let found = try search.run(evaluations: request.allocation.searchEvaluations) { ranks in
            try interruption.check()
            defer { progress.advance(by: 1, "ranks") }
            // Forms of equal numbers may differ in positions, which bytes count.
            if case .bytes(let limit) = request.target {
                guard try inventory.fileBytes(of: try plan(ranks), .largest) <= limit else { return nil }
            }
            return try measure.measure(ranks)
        }
        if let found {
            let (before, after) = (Quantity.significant(found.first, 3), Quantity.significant(found.best, 3))
            progress.log(.notice, "divergence on the search text: \(before) at the greedy ranks, \(after) at those found")
        }
        return found?.ranks
    }

    /// Numbers for the selected matrices.
    /// - Parameter others: numbers of all other tensors.
    private func budget(_ allocation: RankAllocation, _ inventory: OutputInventory, _ others: Int) throws -> Int {
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
        _ allocation: RankAllocation, within limit: Int, _ inventory: OutputInventory, upTo dense: Int
    ) throws -> Int {
        func bytes(_ budget: Int) throws -> Int {
            try inventory.fileBytes(of: try plan(try ranks(allocation, within: budget)), .largest)
        }
        var low = allocation.leastParameters, high = dense
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

    private func ranks(_ allocation: RankAllocation, within budget: Int) throws -> [Int?] {
        guard let ranks = allocation.ranks(within: budget) else {
            throw PlanningError.targetUnreachable(
                target: "\(request.target)",
                smallest: "\(allocation.leastParameters) parameters of the selected matrices, a rank of 1 in each")
        }
        return ranks
    }

    private func plan(_ ranks: [Int?]) throws -> CompressionPlan {
        CompressionPlan(
            groups: try zip(modules, ranks).map { module, rank in
                if let rank { return try group(module, rank: rank) }
                return PlannedGroup(
                    dense: module, of: checkpoint, by: method, because: "left as it is by --allocation \(rule.rawValue)")
            }, target: request.target)
    }

    private func group(_ module: LinearModule, rank: Int) throws -> PlannedGroup {
        try PlannedGroup([module], of: checkpoint, by: method, budget: .rank(rank), factorType: request.factorType)
    }
}
