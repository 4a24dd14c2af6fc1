import Checkpoints
import CommandLineKit
import CompressionCore
import Models
import Planning
import Safetensors
import Statistics

/// Compresses layer by layer, each matrix for the inputs that the network compressed so far really gives it.
///
/// In every layer the matrices are taken in the order in which data flows: query, key and value; the output of the
/// attention; gate and up; down. Before each step the sequences run into the layer twice, dense and as far as it is
/// compressed, and the matrices of the step are fitted to reproduce the dense outputs from the compressed inputs (see
/// `SequentialCorrection`). The entrances of all experts are one step and their exits another; each expert is fitted to
/// what it would give in the dense network for the tokens that the router of the compressed one sends it
/// (`InputCopies`), without what the residual stream lacks, for which no single expert stands.
///
/// A group of matrices of several steps or layers is made once, and each of its matrices fitted again where it stands
/// (`SpanningGroup`): one of a single layer for what its first step sees of all of them, one of several layers for the
/// statistics, in which all of its matrices are measured alike.
///
/// A run that goes on behind an earlier one computes the hidden states again, and not the matrices.
///
/// - Cost: at most ten forward passes; eleven for a layer of experts. For every step of a layer both networks read the
///   text as far as that step, which is nothing for the first, and the compressed one reads it once more to go on to
///   the next layer. Where the sums of all experts do not fit in memory at once, their steps take several passes.
struct SequentialCompression {
    private let checkpoint: Checkpoint
    private let model: Model
    private let sequences: [[Int32]]

    /// What is done at a step of a layer.
    private enum Task {
        /// A group of this step alone.
        case group(PlannedGroup)
        /// A matrix of a group of several steps: the group's place among those, and its own in it.
        case member(of: Int, index: Int)
    }

    /// For each layer, and each of its stages, what is done there.
    private let steps: [[[Task]]]
    /// Groups of several steps.
    private let spanning: [PlannedGroup]

    /// - Throws: `JobError` where the model cannot be run, the text not be cut, or a group not be treated in sequence.
    init(_ prepared: PlannedCompression, _ source: SequenceSource, _ progress: any ProgressReporter) throws {
        let checkpoint = prepared.checkpoint
        let model = try Failure.naming(file: checkpoint.path, tensor: nil) {
            try Model(checkpoint, library: MethodRegistry.library)
        }
        let sequences = try source.sequences(folder: checkpoint.path, model: model, progress).sequences
        try self.init(prepared.plan, of: checkpoint, prepared.objectives, model, sequences)
    }

    /// - Parameter model: the dense one.
    init(
        _ plan: CompressionPlan, of checkpoint: Checkpoint, _ objectives: ObjectiveSource, _ model: Model,
        _ sequences: [[Int32]]
    ) throws {
        self.checkpoint = checkpoint
        self.model = model
        self.sequences = sequences
        (steps, spanning) = try Self.steps(plan, objectives, model)
    }

    /// nil where the matrices are compressed apart: not asked for, or not possible and not insisted on.
    static func asked(
        of prepared: PlannedCompression, by objective: ObjectiveRequest, _ progress: any ProgressReporter
    ) throws -> SequentialCompression? {
        guard let text = objective.text else { return nil }
        do {
            return try SequentialCompression(prepared, text, progress)
        } catch JobError.usage(let reason) where !objective.insistsOnSequence && prepared.objectives.areKnown {
            progress.log(.notice, "\(reason); its matrices are compressed apart, by the statistics")
            return nil
        }
    }

    // MARK: Steps

    private struct Place: Hashable {
        let layer: Int
        let stage: Int
    }

    private static func steps(
        _ plan: CompressionPlan, _ objectives: ObjectiveSource, _ model: Model
    ) throws -> (steps: [[[Task]]], spanning: [PlannedGroup]) {
        let stages = (0..<model.description.layers).map { model.stages(ofLayer: $0) }
        var places: [String: Place] = [:]
        for (layer, stages) in stages.enumerated() {
            for (stage, inputs) in stages.enumerated() {
                for module in inputs.inputs.flatMap(\.modules) { places[module] = Place(layer: layer, stage: stage) }
            }
        }
        var steps = stages.map { $0.map { _ in [Task]() } }
        var spanning: [PlannedGroup] = []
        for group in plan.groups {
            let found = try group.modules.map { try place(of: $0.module, among: places) }
            if let only = found.first, Set(found).count == 1 {
                steps[only.layer][only.stage].append(.group(group))
                continue
            }
            guard objectives.areKnown || Set(found.map(\.layer)).count == 1 else {
                throw JobError.usage(
                    "\(group.name): matrices of several layers are compressed in sequence only with statistics of all "
                        + "of them; give --stats too, or leave out --text")
            }
            for (index, place) in found.enumerated() {
                steps[place.layer][place.stage].append(.member(of: spanning.count, index: index))
            }
            spanning.append(group)
        }
        return (steps, spanning)
    }

    private static func place(of module: LinearModule, among places: [String: Place]) throws -> Place {
        guard let place = places[module.name] else {
            throw JobError.usage("\(module.name) is in no layer that the model runs; exclude it, or leave out --text")
        }
        return place
    }

    /// The tasks of a step, as many at a time as the sums of their inputs fit in memory; nothing depends on how many.
    private func batches(of tasks: [Task], _ stage: InputStage, _ base: GroupCompression) throws -> [[Task]] {
        // Tasks of a step without a router have one input between them.
        guard stage.isRouted else { return [tasks] }
        return try MomentBatches.batches(of: tasks) { task in
            let names = Set(try openModules(of: task, base))
            return stage.inputs.reduce(0) {
                names.isDisjoint(with: $1.modules) ? $0 : $0 + PairedMoments.bytes(features: $1.features)
            }
        }
    }

    // MARK: The work

    /// What is done of the sequence.
    struct Progressed {
        /// As they are stored, of matrices that do not stay as they were.
        var operators: [String: any LinearOperator] = [:]
        var results: [ModuleResult] = []
    }

    /// - Parameter base: compresses groups; its objectives are replaced.
    func run(
        _ base: GroupCompression, _ statistics: ObjectiveSource, _ journal: Journal, _ progress: any ProgressReporter,
        _ interruption: Interruption
    ) throws -> Progressed {
        let pair = SequencePair(sequences, model, journal)
        let spanning = self.spanning.map { SpanningGroup($0, base) }
        var done = Progressed()
        for (layer, steps) in steps.enumerated() {
            let stages = model.stages(ofLayer: layer), isLastLayer = layer + 1 == self.steps.count
            for (place, tasks) in steps.enumerated() {
                let batches = try batches(of: tasks, stages[place], base)
                for (index, batch) in batches.enumerated() {
                    var compression = base
                    let inputs = try inputs(of: batch, stages, base)
                    if !inputs.isEmpty {
                        let isLast = place + 1 == steps.count && index + 1 == batches.count
                        let leavesLayer = isLast && !stages[place].isRouted
                        let moments = try pair.moments(
                            of: inputs, layer: layer, try network(done), isLastStep: leavesLayer && !isLastLayer,
                            interruption)
                        compression.objectives = try SequentialObjectives(moments, statistics)
                    }
                    for task in batch {
                        try interruption.check()
                        try run(task, spanning, compression, &done, progress)
                    }
                }
            }
            if !isLastLayer { try pair.advance(through: layer, try network(done), interruption) }
            for tensor in checkpoint.tensors where tensor.layer == layer {
                checkpoint.dropPages(of: tensor.name)
            }
        }
        return done
    }

    private func run(
        _ task: Task, _ spanning: [SpanningGroup], _ compression: GroupCompression, _ done: inout Progressed,
        _ progress: any ProgressReporter
    ) throws {
        switch task {
        case .group(let group):
            let found = try compression.result(of: group, progress)
            for result in found {
                done.operators[result.name] = try compression.finished.compressedOperator(of: result, in: group)
            }
            done.results += found
        case .member(let group, let index):
            let found = try spanning[group].fit(index, compression, progress)
            done.operators[found.module] = found.compressed
            done.results += spanning[group].results(completedBy: index)
        }
    }

    /// The model with what is compressed so far.
    private func network(_ done: Progressed) throws -> Model {
        try Model(checkpoint, library: MethodRegistry.library, replacing: done.operators)
    }

    // MARK: Inputs

    /// The modules that a task still has to treat.
    private func openModules(of task: Task, _ base: GroupCompression) throws -> [String] {
        switch task {
        case .group(let group):
            return try base.finished.results(of: group) == nil ? group.modules.map(\.module.name) : []
        case .member(let place, let index):
            let group = spanning[place]
            if try base.finished.results(of: group) != nil { return [] }
            // The first one has the group made: within a layer for what is then known of all its matrices.
            let isMade = index > 0 || Set(group.modules.map(\.module.layer)).count > 1
            return (isMade ? [group.modules[index]] : group.modules).map(\.module.name)
        }
    }

    private func inputs(of tasks: [Task], _ stages: [InputStage], _ base: GroupCompression) throws -> [LayerInput] {
        let names = Set(try tasks.flatMap { try openModules(of: $0, base) })
        return stages.flatMap(\.inputs).filter { !names.isDisjoint(with: $0.modules) }
    }
}

extension FinishedGroups {
    /// The operator of a module, as it is stored; nil where it stays as it was.
    func compressedOperator(of result: ModuleResult, in group: PlannedGroup) throws -> (any LinearOperator)? {
        guard let entry = result.entry else { return nil }
        let source = OperatorSource(module: result.name, entry: entry) { (name) throws(OperatorError) in
            do {
                return try self.tensor(name, of: group)
            } catch {
                throw .unreadable(name, reason: "\(error)")
            }
        }
        return try MethodRegistry.library.read(source)
    }
}
