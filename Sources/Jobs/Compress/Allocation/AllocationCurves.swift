import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore
import Models
import Planning

/// What every group of matrices loses at every size, and what that counts.
///
/// The loss is in the metric of the objective: of a matrix its spectrum, of several that are compressed together that
/// of all (`GroupLossCurve`). What it counts: with an objective that knows gradients, its cost in predictions.
/// Otherwise with text, the sensitivity of each: how far the outputs move when it alone is truncated as far as a
/// uniform budget asks, divided by its relative squared error there. Without, every relative error counts the same,
/// that of an expert in proportion to the tokens that statistics saw it read.
///
/// - Cost: one decomposition of each group, for its curve and its sensitivity; memory is that of one group, as only
///   curves are kept. So the result, whose ranks follow from all curves, needs a decomposition of its own; in sequence
///   that is of another matrix anyway. Sensitivities take a pass over the sequences for each group.
struct AllocationCurves {
    let checkpoint: Checkpoint
    let groups: [[LinearModule]]
    let method: PlannedMethod
    let objectives: ObjectiveSource
    let request: CompressionRequest
    let spectra: SpectraCache
    let progress: any ProgressReporter
    let interruption: Interruption

    /// Sequences that sensitivities are measured on: the first.
    private static let samples = 16

    /// What errors count, with a value for each matrix by its name.
    private enum Weighing {
        /// Per squared error.
        case costs([String: Double])
        /// Per relative squared error.
        case relative([String: Double])
        /// The same, still to be measured.
        case measured(MeasuredSensitivity)

        var measured: MeasuredSensitivity? {
            if case .measured(let measured) = self { measured } else { nil }
        }
    }

    /// - Parameter keep: of their numbers, what the target leaves to the selected matrices, as shapes tell.
    func matrices(keep: Double) throws -> [RankAllocation.Matrix] {
        let weighing = try weighing(keep: keep)
        progress.begin(
            ProgressStage("spectra", total: groups.reduce(0) { $0 + $1.count }, unit: .items("matrices")))
        defer { progress.end() }
        return try groups.map { group in
            try interruption.check()
            defer { progress.advance(by: group.count, group[0].name) }
            defer { for module in group { checkpoint.dropPages(of: module) } }
            if group.count == 1, let found = try single(group[0], weighing) { return found }
            return try joint(group, weighing)
        }
    }

    private func weighing(keep: Double) throws -> Weighing {
        let modules = groups.flatMap { $0 }, names = modules.map(\.name)
        let costs = try modules.compactMap { try objectives.cost(of: $0) }
        if costs.count == modules.count { return .costs(Dictionary(uniqueKeysWithValues: zip(names, costs))) }
        guard let text = request.allocation.text else {
            // 1, and for experts how often they are chosen, where statistics say so.
            let weights = try RoutingWeights(of: modules) { try objectives.tokens(of: $0) }.values
            return .relative(Dictionary(uniqueKeysWithValues: zip(names, weights)))
        }
        return .measured(
            MeasuredSensitivity(
                divergence: try OutputDivergence(checkpoint, text: text, samples: Self.samples), keep: keep))
    }

    // MARK: Curves

    /// nil where the method has no spectrum of a matrix by itself.
    private func single(_ module: LinearModule, _ weighing: Weighing) throws -> RankAllocation.Matrix? {
        let found = try spectra.curve(of: member(module), by: method.compressor) {
            weighing.measured?.rank($0)
        } task: {
            try task(for: module)
        }
        guard let (curve, truncated) = found else { return nil }
        let sensitivity =
            switch weighing {
            case .costs(let costs): costs[module.name, default: 0] * curve.total
            case .relative(let weights): weights[module.name, default: 1]
            case .measured(let measured): try measured.value(of: [module.name], curve, truncated.map { [$0] } ?? [])
            }
        return RankAllocation.Matrix(curve: curve, kind: module.role.rawValue, sensitivity: sensitivity)
    }

    /// Members whose errors count differently are added up by what they count, in units of their mean.
    private func joint(_ group: [LinearModule], _ weighing: Weighing) throws -> RankAllocation.Matrix {
        let tasks = try group.map(task), kind = group[0].role.rawValue
        guard let found = try method.compressor.curve(of: tasks) else { throw noSpectra }
        let weights: [Double]
        switch weighing {
        case .costs(let costs): weights = group.map { costs[$0.name, default: 0] }
        case .relative(let shares):
            weights = zip(group, found.totals).map { $1 > 0 ? shares[$0.name, default: 1] / $1 : 0 }
        case .measured(let measured):
            let outcomes = try measured.rank(found.joint).map {
                try method.compressor.compress(tasks, budget: found.joint.budget(rank: $0))
            }
            let sensitivity = try measured.value(of: group.map(\.name), found.joint, outcomes ?? [])
            return RankAllocation.Matrix(curve: found.joint, kind: kind, sensitivity: sensitivity)
        }
        let mean = weights.reduce(0, +) / Double(weights.count)
        guard mean > 0 else { return RankAllocation.Matrix(curve: found.joint, kind: kind, sensitivity: 0) }
        let curve = found.weighted(by: weights.map { $0 / mean })
        return RankAllocation.Matrix(curve: curve, kind: kind, sensitivity: mean * curve.total)
    }

    private var noSpectra: JobError {
        let rule = request.allocation.rule.rawValue, name = type(of: method.compressor).method
        return .usage("--allocation \(rule) needs spectra, which \(name) does not have; give --allocation uniform")
    }

    // MARK: Tasks

    private func member(_ module: LinearModule) -> GroupMember {
        PlannedGroup.member(module, of: checkpoint, factorType: request.factorType)
    }

    func task(for module: LinearModule) throws -> CompressionTask {
        try Failure.naming(file: checkpoint.file(of: module.weightName), tensor: module.weightName) {
            let weight = try checkpoint.finiteWeight(of: module)
            return CompressionTask(
                member: member(module),
                objective: try objectives.objective(
                    for: module, weight: weight.matrix, factors: weight.factors))
        }
    }
}
