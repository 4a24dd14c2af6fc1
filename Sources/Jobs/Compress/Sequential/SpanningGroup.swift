import CommandLineKit
import CompressionCore
import Planning

/// A group of matrices of several layers on its way through the sequence.
///
/// What they share is made once, at the first of them, for the moments that statistics have of all; the later ones read
/// inputs that no one knows yet. Each matrix is then fitted to what it really reads when the sequence comes to it
/// (`RefittableOperator`); one of a form that cannot be fitted again stays as it was made. The journal gets the group
/// when its last matrix is done, so a run that is killed before makes it again, from the same inputs.
final class SpanningGroup {
    private let group: PlannedGroup
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
    }

    /// Whether an earlier run, or this one, is done with it.
    var isFinished: Bool {
        get throws { try base.finished.results(of: group) != nil || results.count == group.modules.count }
    }

    /// Fits a matrix to the inputs that it really reads; matrices come in their order.
    ///
    /// - Parameter compression: with the objectives of the layer.
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
        if outcomes.isEmpty { try make() }
        watch = Stopwatch()
        let weight = try compression.weight(of: planned.module)
        if case .compressed(let made as any RefittableOperator, let evidence) = outcomes[index] {
            let objective = try compression.objectives.objective(
                for: planned.module, weight: weight.matrix, factors: weight.factors)
            let fitted = try compression.naming(planned.module) { try made.refitted(to: objective) }
            outcomes[index] = .compressed(fitted, evidence)
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

    private func make() throws {
        if let reason = group.keptDense {
            outcomes = group.modules.map { _ in .dense(reason) }
            return
        }
        outcomes = try base.outcomes(of: group, try group.modules.map { try base.weight(of: $0.module) })
    }
}
