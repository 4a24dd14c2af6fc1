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
/// attention; gate and up; down. Before each step the sequences run through the layer twice, dense and as far as it is
/// compressed, and the matrices of the step are fitted to reproduce the dense outputs from the compressed inputs (see
/// `SequentialCorrection`). A group of matrices of several steps is treated at the first of them.
///
/// A run that goes on behind an earlier one computes the hidden states again, and not the matrices.
///
/// - Cost: two passes of a layer over the text for every step, and two to go on to the next layer: ten forward passes.
struct SequentialCompression {
    private let prepared: PlannedCompression
    private let model: Model
    private let sequences: [[Int32]]
    /// For each layer, its groups by the step at which they are compressed.
    private let steps: [[[PlannedGroup]]]

    /// - Throws: `JobError` where the model cannot be run, the text not be cut, or a group not be treated in sequence.
    init(_ prepared: PlannedCompression, _ source: SequenceSource) throws {
        self.prepared = prepared
        let checkpoint = prepared.checkpoint
        let model = try Failure.naming(file: checkpoint.path, tensor: nil) {
            try Model(checkpoint, library: MethodRegistry.library)
        }
        self.model = model
        sequences = try source.sequences(folder: checkpoint.path, model: model.description).sequences
        steps = try Self.steps(prepared.plan.groups, model)
    }

    private static func steps(_ groups: [PlannedGroup], _ model: Model) throws -> [[[PlannedGroup]]] {
        var steps = (0..<model.description.layers).map { model.inputs(ofLayer: $0).map { _ in [PlannedGroup]() } }
        for group in groups {
            var places: [(layer: Int, step: Int)] = []
            for module in group.modules.map(\.module) {
                guard module.expert == nil else {
                    throw JobError.usage(
                        "\(module.name): experts read other tokens once their router does, so they are not compressed "
                            + "in sequence; calibrate, and give --stats in place of --text")
                }
                guard let layer = module.layer, layer < steps.count,
                    let step = model.inputs(ofLayer: layer).firstIndex(where: { $0.modules.contains(module.name) })
                else {
                    throw JobError.usage(
                        "\(module.name) is in no layer that the model runs; exclude it, or leave out --text")
                }
                places.append((layer, step))
            }
            let layers = Set(places.map(\.layer))
            guard layers.count == 1, let layer = layers.first, let step = places.map(\.step).min() else {
                throw JobError.usage(
                    "\(group.name): matrices of several layers are not compressed in sequence; leave out --text")
            }
            steps[layer][step].append(group)
        }
        return steps
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
        for (layer, steps) in steps.enumerated() {
            for groups in steps {
                let open = try groups.filter { try base.finished.results(of: $0) == nil }
                var compression = base
                if !open.isEmpty {
                    let moments = try pair.moments(
                        of: inputs(of: open, layer: layer), layer: layer, try network(operators), interruption)
                    compression.objectives = try SequentialObjectives(moments, statistics)
                }
                for group in groups {
                    try interruption.check()
                    let found = try compression.result(of: group, progress)
                    try read(found, of: group, base.finished, into: &operators)
                    results += found
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

    private func inputs(of groups: [PlannedGroup], layer: Int) -> [LayerInput] {
        let modules = Set(groups.flatMap { $0.modules.map(\.module.name) })
        return model.inputs(ofLayer: layer).filter { !modules.isDisjoint(with: $0.modules) }
    }

    /// The operators of a group, as they are stored.
    private func read(
        _ results: [ModuleResult], of group: PlannedGroup, _ finished: FinishedGroups,
        into operators: inout [String: any LinearOperator]
    ) throws {
        for result in results {
            guard let entry = result.entry else { continue }
            let source = OperatorSource(module: result.name, entry: entry) { (name) throws(OperatorError) in
                do {
                    return try finished.tensor(name, of: group)
                } catch {
                    throw .unreadable(name, reason: "\(error)")
                }
            }
            operators[result.name] = try MethodRegistry.library.read(source)
        }
    }
}
