import CommandLineKit
import CompressionCore
import Planning

/// A group of matrices of several steps or layers on its way through the sequence.
///
/// What they share is made once, at the first of them. Where they are of one layer, such as the projections of an
/// attention, it is made for what the network compressed so far gives to all of them, the later ones behind the others
/// as they still are. Where they are of several layers, it is made for the statistics: inputs of later layers in a
/// compressed network are known to no one yet, and what is shared needs all members measured over the same text.
///
/// Each matrix is then fitted to what it really reads when the sequence comes to it (`RefittableOperator`); one of a
/// form that cannot be fitted again stays as it was made. Its part of a shared tensor goes into those of the others.
/// The journal gets the group when its last matrix is done, so a run that is killed before makes it again, from the
/// same inputs.
final class SpanningGroup {
    private let group: PlannedGroup
    private let spansLayers: Bool
    /// Compresses for the statistics.
    private let base: GroupCompression
    private var outcomes: [CompressionOutcome] = []
    private var results: [ModuleResult] = []
    /// Tensors that earlier modules have brought along.
    private var shared: Set<String> = []
    private var watch = Stopwatch()

    init(_ group: PlannedGroup, _ base: GroupCompression) {
        self.group = group
        self.base = base
        spansLayers = Set(group.modules.map(\.module.layer)).count > 1
    }

    /// Fits a matrix to the inputs that it really reads; matrices come in their order.
    ///
    /// - Parameter compression: with the objectives of the layer; at the first matrix, of all that the layer has.
    /// - Returns: the operator as it is stored; nil where the matrix stays dense.
    func fit(
        _ index: Int, _ compression: GroupCompression, _ progress: any ProgressReporter
    ) throws -> (module: String, compressed: (any LinearOperator)?) {
        let planned = group.modules[index], name = planned.module.name
        if let finished = try base.finished.results(of: group) {
            if results.isEmpty { results = finished }
            compression.lines?.add(finished[index], of: planned.module, isNew: false)
            return (name, try base.finished.compressedOperator(of: finished[index], in: group))
        }
        if outcomes.isEmpty { try make(spansLayers ? base : compression) }
        watch = Stopwatch()
        let weight = try compression.weight(of: planned.module)
        if case .compressed(let made as any RefittableOperator, let evidence) = outcomes[index] {
            let objective = try compression.objectives.objective(
                for: planned.module, weight: weight.matrix, factors: weight.factors)
            let fitted = try compression.naming(planned.module) { try made.refitted(to: objective) }
            outcomes[index] = .compressed(fitted, evidence)
            try share(fitted, of: index)
        }
        let report = ModuleReport(planned.module, method: group.method, seconds: watch.seconds)
        results.append(
            try compression.result(of: planned.module, outcomes[index], weight.matrix, report, &shared))
        compression.lines?.add(results[index], of: planned.module, isNew: true)
        progress.advance(by: 1, name)
        if results.count == group.modules.count { try base.finish(group, results, outcomes) }
        guard case .compressed(let compressed, _) = outcomes[index] else { return (name, nil) }
        return (name, compressed)
    }

    /// The results of the group, once all its matrices are done.
    func results(completedBy index: Int) -> [ModuleResult] { index + 1 == group.modules.count ? results : [] }

    private func make(_ compression: GroupCompression) throws {
        if let reason = group.keptDense {
            outcomes = group.modules.map { _ in .dense(reason) }
            return
        }
        outcomes = try compression.outcomes(of: group, try group.modules.map { try compression.weight(of: $0.module) })
    }

    /// Puts the shared tensors that a fit has changed into the other matrices.
    private func share(_ fitted: any LinearOperator, of index: Int) throws {
        let shared = fitted.tensors.filter { $0.scope == .checkpoint && !$0.isIndex }
        let tensors = Dictionary(uniqueKeysWithValues: shared.map { ($0.name, $0.tensor) })
        for other in outcomes.indices where other != index {
            guard case .compressed(let compressed, let evidence) = outcomes[other] else { continue }
            let isOld = compressed.tensors.contains { own in
                own.scope == .checkpoint && tensors[own.name].map { $0.base != own.tensor.base } ?? false
            }
            guard isOld else { continue }
            outcomes[other] = .compressed(
                try compressed.replacing(module: group.modules[other].module.name, tensors), evidence)
        }
    }
}
