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
/// `SequentialCorrection`). A group of matrices of several steps is treated at the first of them; one of several layers
/// is made for the statistics at its first layer, and each of its matrices fitted again where it stands
/// (`SpanningGroup`).
///
/// A run that goes on behind an earlier one computes the hidden states again, and not the matrices.
///
/// - Cost: at most ten forward passes. For every step of a layer both networks read the text as far as that step, which
///   is nothing for the first, and the compressed one reads it once more to go on to the next layer.
struct SequentialCompression {
    private let prepared: PlannedCompression
    private let model: Model
    private let sequences: [[Int32]]
    /// What is done at a step of a layer.
    private struct Step {
        /// Groups of this layer alone.
        var groups: [PlannedGroup] = []
        /// Matrices of groups of several layers: the group's place among those, and theirs in it.
        var members: [(group: Int, index: Int)] = []
    }

    /// For each layer its steps.
    private let steps: [[Step]]
    /// Groups of several layers.
    private let spanning: [PlannedGroup]

    /// - Throws: `JobError` where the model cannot be run, the text not be cut, or a group not be treated in sequence.
    init(_ prepared: PlannedCompression, _ source: SequenceSource) throws {
        self.prepared = prepared
        let checkpoint = prepared.checkpoint
        let model = try Failure.naming(file: checkpoint.path, tensor: nil) {
            try Model(checkpoint, library: MethodRegistry.library)
        }
        self.model = model
        sequences = try source.sequences(folder: checkpoint.path, model: model.description).sequences
        (steps, spanning) = try Self.steps(prepared, model)
    }

    /// nil where the matrices are compressed apart: not asked for, or not possible and not insisted on.
    static func asked(
        of prepared: PlannedCompression, by objective: ObjectiveRequest, _ progress: any ProgressReporter
    ) throws -> SequentialCompression? {
        guard let text = objective.text else { return nil }
        do {
            return try SequentialCompression(prepared, text)
        } catch JobError.usage(let reason) where !objective.insistsOnSequence && prepared.objectives.areKnown {
            progress.log(.notice, "\(reason); its matrices are compressed apart, by the statistics")
            return nil
        }
    }

    private static func steps(
        _ prepared: PlannedCompression, _ model: Model
    ) throws -> (steps: [[Step]], spanning: [PlannedGroup]) {
        var steps = (0..<model.description.layers).map { model.inputs(ofLayer: $0).map { _ in Step() } }
        var spanning: [PlannedGroup] = []
        for group in prepared.plan.groups {
            let places = try group.modules.map { try place(of: $0.module, model) }
            let layers = Set(places.map(\.layer))
            if layers.count == 1, let layer = layers.first, let step = places.map(\.step).min() {
                steps[layer][step].groups.append(group)
                continue
            }
            guard prepared.objectives.areKnown else {
                throw JobError.usage(
                    "\(group.name): matrices of several layers are compressed in sequence only with statistics of all "
                        + "of them; give --stats too, or leave out --text")
            }
            for (index, place) in places.enumerated() {
                steps[place.layer][place.step].members.append((spanning.count, index))
            }
            spanning.append(group)
        }
        return (steps, spanning)
    }

    private static func place(of module: LinearModule, _ model: Model) throws -> (layer: Int, step: Int) {
        guard module.expert == nil else {
            throw JobError.usage(
                "\(module.name): experts read other tokens once their router does, so they are not compressed "
                    + "in sequence; calibrate, and give --stats in place of --text")
        }
        guard let layer = module.layer, layer < model.description.layers,
            let step = model.inputs(ofLayer: layer).firstIndex(where: { $0.modules.contains(module.name) })
        else {
            throw JobError.usage("\(module.name) is in no layer that the model runs; exclude it, or leave out --text")
        }
        return (layer, step)
    }

    // MARK: The work

    /// - Parameter base: compresses groups; its objectives are replaced.
    func run(
        _ base: GroupCompression, _ statistics: ObjectiveSource, _ journal: Journal, _ progress: any ProgressReporter,
        _ interruption: Interruption
    ) throws -> [ModuleResult] {
        let pair = SequencePair(sequences, model, journal)
        var operators: [String: any LinearOperator] = [:]
        var results: [ModuleResult] = []
        let spanning = self.spanning.map { SpanningGroup($0, base) }
        for (layer, steps) in steps.enumerated() {
            for (place, step) in steps.enumerated() {
                let open = try step.groups.filter { try base.finished.results(of: $0) == nil }
                let members = try step.members.filter { try !spanning[$0.group].isFinished }
                let modules = open.flatMap(\.modules) + members.map { self.spanning[$0.group].modules[$0.index] }
                var compression = base
                if !modules.isEmpty {
                    let moments = try pair.moments(
                        of: inputs(of: modules, layer: layer), layer: layer, try network(operators),
                        isLastStep: place + 1 == steps.count && layer + 1 < self.steps.count, interruption)
                    compression.objectives = try SequentialObjectives(moments, statistics)
                }
                for group in step.groups {
                    try interruption.check()
                    let found = try compression.result(of: group, progress)
                    try read(found, of: group, base.finished, into: &operators)
                    results += found
                }
                for (group, index) in step.members {
                    try interruption.check()
                    let found = try spanning[group].fit(index, compression, progress)
                    operators[found.module] = found.compressed
                    results += spanning[group].results(completedBy: index)
                }
            }
            if layer + 1 < self.steps.count { try pair.advance(through: layer, try network(operators), interruption) }
            for tensor in prepared.checkpoint.tensors where tensor.layer == layer {
                prepared.checkpoint.dropPages(of: tensor.name)
            }
        }
        return results
    }

    /// The model with what is compressed so far.
    private func network(_ operators: [String: any LinearOperator]) throws -> Model {
        try Model(prepared.checkpoint, library: MethodRegistry.library, replacing: operators)
    }

    private func inputs(of modules: [PlannedModule], layer: Int) -> [LayerInput] {
        let names = Set(modules.map(\.module.name))
        return model.inputs(ofLayer: layer).filter { !names.isDisjoint(with: $0.modules) }
    }

    /// The operators of a group, as they are stored.
    private func read(
        _ results: [ModuleResult], of group: PlannedGroup, _ finished: FinishedGroups,
        into operators: inout [String: any LinearOperator]
    ) throws {
        for result in results { operators[result.name] = try finished.compressedOperator(of: result, in: group) }
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
