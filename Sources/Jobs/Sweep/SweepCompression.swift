import Checkpoints
import CommandLineKit
import CompressionCore
import Planning
import Safetensors

/// Compresses the points of a sweep together: every matrix is read once, and what points have in common computed once.
///
/// Points of one method that treat the same matrices in the same metric are variants of one compression
/// (`Compressor.compress(_:variants:receive:)`). Points in sequence need inputs of their own and run one by one.
struct SweepCompression {
    private let plan: SweepPlan
    private let journal: Journal
    private let progress: any ProgressReporter
    private let interruption: Interruption
    /// By point.
    private let compressions: [GroupCompression]

    /// The same matrices, as several points treat them.
    private struct SharedGroup {
        /// Place of the first matrix in the model.
        let place: Int
        var members: [(point: Int, group: PlannedGroup)]
    }

    /// Groups that are variants of one compression.
    private struct Family: Hashable {
        let method: String
        let basis: SweepPlan.Basis
    }

    /// - Parameters:
    ///   - keepsTensors: whether the tensors of a point are needed later, by its place.
    ///   - records: those of the journal.
    init(
        _ plan: SweepPlan, _ journal: Journal, _ unitSize: UnitSize, keepsTensors: (Int) -> Bool, records: [JSON],
        _ progress: any ProgressReporter, _ interruption: Interruption
    ) throws {
        self.plan = plan
        self.journal = journal
        self.progress = progress
        self.interruption = interruption
        compressions = try plan.points.enumerated().map { index, point in
            let finished = try FinishedGroups(journal, unitSize, scope: point.point.label + " ", records: records)
            return GroupCompression(
                checkpoint: plan.checkpoint, objectives: point.prepared.objectives, finished: finished,
                control: point.point.request.control.map { Control(kind: $0, settings: point.point.request.settings) },
                keepsTensors: keepsTensors(index) || point.sequential != nil)
        }
    }

    /// What is finished of a point.
    func finished(_ point: Int) -> FinishedGroups { compressions[point].finished }

    /// - Returns: the results of every point, each in the order of the model.
    func run() throws -> [[ModuleResult]] {
        try begin()
        do {
            for shared in sharedGroups() {
                try interruption.check()
                try compress(shared)
            }
            for (index, point) in plan.points.enumerated() {
                guard let sequential = point.sequential else { continue }
                _ = try sequential.run(
                    compressions[index], point.prepared.objectives, journal, progress, interruption)
            }
            for compression in compressions { try compression.finished.flush() }
        } catch {
            // The error is on its way; what is finished is kept where that is still possible.
            for compression in compressions { try? compression.finished.flush() }
            throw error
        }
        progress.end()
        return try plan.points.indices.map(results)
    }

    private func begin() throws {
        var total = 0, done = 0
        for (index, point) in plan.points.enumerated() {
            total += point.prepared.plan.modules.count
            for group in point.prepared.plan.groups {
                done += try compressions[index].finished.results(of: group)?.count ?? 0
            }
        }
        progress.begin(ProgressStage("sweep", total: total, unit: .items("matrices"), alreadyDone: done))
    }

    private func results(of point: Int) throws -> [ModuleResult] {
        let results = try plan.points[point].prepared.plan.groups.flatMap { group in
            try compressions[point].finished.results(of: group) ?? []
        }
        let order = places
        return results.sorted { order[$0.name, default: 0] < order[$1.name, default: 0] }
    }

    // MARK: Groups

    private var places: [String: Int] {
        Dictionary(uniqueKeysWithValues: plan.checkpoint.compressibleModules.enumerated().map { ($1.name, $0) })
    }

    private func sharedGroups() -> [SharedGroup] {
        let places = places
        var groups: [[String]: SharedGroup] = [:]
        for (index, point) in plan.points.enumerated() where point.sequential == nil {
            for group in point.prepared.plan.groups {
                let names = group.modules.map(\.module.name)
                let place = names.first.flatMap { places[$0] } ?? 0
                groups[names, default: SharedGroup(place: place, members: [])].members.append((index, group))
            }
        }
        // Of groups that begin with the same matrix, the smaller first.
        return groups.values.sorted {
            ($0.place, $0.members[0].group.modules.count) < ($1.place, $1.members[0].group.modules.count)
        }
    }

    private func compress(_ shared: SharedGroup) throws {
        var families: [Family: [(point: Int, group: PlannedGroup)]] = [:]
        var order: [Family] = []
        for (point, group) in shared.members where try compressions[point].finished.results(of: group) == nil {
            guard group.keptDense == nil else {
                _ = try compressions[point].result(of: group, progress)
                continue
            }
            let family = Family(method: group.method, basis: plan.points[point].basis)
            if families[family] == nil { order.append(family) }
            families[family, default: []].append((point, group))
        }
        for family in order { try compress(families[family] ?? []) }
        for module in shared.members.first?.group.modules ?? [] { plan.checkpoint.dropPages(of: module.module) }
    }

    /// Groups of one family; the time of each is that since the one before, so what they share counts with the first.
    private func compress(_ members: [(point: Int, group: PlannedGroup)]) throws {
        guard let (first, group) = members.first else { return }
        var watch = Stopwatch()
        var read = try compressions[first].tasks(of: group)
        let tasks = read.tasks
        let variants = members.map { CompressionVariant($0.group.compressor, budget: $0.group.budget) }
        try compressions[first].naming(group.modules[0].module) {
            try type(of: group.compressor).compress(tasks, variants: variants) { index, outcomes in
                let (point, group) = members[index]
                let results = try compressions[point].record(outcomes, of: group, read, seconds: watch.seconds)
                watch = Stopwatch()
                read.readSeconds = 0
                for (planned, result) in zip(group.modules, results) {
                    let name = "\(plan.points[point].point.label)  \(planned.module.name)"
                    progress.log(
                        .detail, longestOf: ModuleLines.forms(result, of: planned.module).map { "\(name)  \($0)" })
                }
                progress.advance(by: results.count, group.name)
                try interruption.check()
            }
        }
    }
}
