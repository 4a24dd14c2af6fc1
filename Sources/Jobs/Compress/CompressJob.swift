import Checkpoints
import CommandLineKit
import CompressionCore
import Foundation
import Kernels
import Planning
import Safetensors

/// Compresses a checkpoint: the main job.
///
/// 1. Everything that can be wrong is checked: the output, patterns, the target, the space on the disk.
/// 2. Matrix by matrix: read, decompose, round, measure, write to the journal. A run that is stopped, or killed, goes
///    on behind its last written matrix with `resume`, and ends with the same bytes.
/// 3. Shards of the output are written as they fill. It is put together beside its name and appears by one rename.
///
/// With `request.shard` only the groups of one part are compressed, and what is written is a part for `MergeJob`.
///
/// Memory is bounded by the largest matrix and its decomposition, not by the model.
public struct CompressJob: Sendable {
    public var request: CompressionRequest
    public var unitSize: UnitSize

    public init(_ request: CompressionRequest, unitSize: UnitSize = .usual) {
        self.request = request
        self.unitSize = unitSize
    }

    @discardableResult
    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> CompressionReport {
        precondition(request.shard == nil, "a part has no output folder; see runPart")
        return try compress(progress, interruption) { staged, work in
            let ending = CompressionEnding(
                checkpoint: work.prepared.checkpoint, outline: CompressionOutline(request, work.prepared.plan),
                results: work.results,
                tensors: try work.finished.tensors(of: work.prepared.plan.groups), interruption: interruption)
            let report = try ending.write(to: staged.path, progress: progress) { facts(work) }
            progress.log(.detail, report.times)
            try exportAdapter(beside: staged.path, progress, interruption)
            return report
        }
    }

    /// Does one part of the work and writes it to a folder that `MergeJob` takes.
    @discardableResult
    public func runPart(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> PartReport {
        guard let shard = request.shard else { preconditionFailure("a whole run writes no part") }
        return try compress(progress, interruption) { staged, work in
            let prepared = work.prepared
            let part = PartDescription(
                shard: shard, program: RunFingerprint.thisProgram, instructionSet: InstructionSet.active.rawValue,
                source: try prepared.checkpoint.fingerprint(), inputs: try contentDigests(),
                division: prepared.division, outline: CompressionOutline(request, prepared.plan))
            return try PartWriter(
                part: part, checkpoint: request.checkpoint, results: work.results, interruption: interruption
            ).write(
                to: staged.path, tensorFiles: try prepared.ownGroups.map { try work.finished.tensorFile(of: $0) },
                progress: progress) { facts(work) }
        }
    }

    /// All groups of the run, finished and in the journal.
    private struct FinishedRun {
        let prepared: PlannedCompression
        let finished: FinishedGroups
        let results: [ModuleResult]
        let watch: Stopwatch
        let planSeconds: Double
        let compressSeconds: Double
    }

    /// All but the end: `ending` fills the staged folder from the finished groups.
    private func compress<Result>(
        _ progress: any ProgressReporter, _ interruption: Interruption,
        ending: (StagedOutput, FinishedRun) throws -> Result
    ) throws -> Result {
        let watch = Stopwatch()
        let output = OutputRequest(
            request.output, inputs: [request.checkpoint] + files.map(\.path), force: request.force,
            resume: request.resume)
        try output.validate()
        let prepared = try plan(progress: progress, interruption: interruption)
        let sequential = try SequentialCompression.asked(of: prepared, by: request.objective, progress)
        let planSeconds = watch.seconds
        try SpaceCheck.require(bytes: try prepared.neededBytes, at: request.output)
        return try StagedOutput.write(output, resumable: try fingerprint()) { staged in
            // A part has one file, whose tensors are all known only at its end.
            let stream = try request.shard == nil
                ? ShardStream(staged.shards, prepared.checkpoint, request, prepared.plan, progress, interruption) : nil
            let finished = try FinishedGroups(staged.journal, unitSize, stream: stream)
            let compression = GroupCompression(
                checkpoint: prepared.checkpoint, objectives: prepared.objectives, finished: finished,
                control: request.control.map { Control(kind: $0, settings: request.settings) },
                lines: ModuleLines(prepared.ownGroups.flatMap { $0.modules.map(\.module) }, progress))
            let results = try compress(prepared, finished, progress) {
                if let sequential {
                    return try sequential.run(
                        compression, prepared.objectives, staged.journal, progress, interruption
                    ).results
                }
                return try compressGroups(prepared, compression, progress, interruption)
            }
            try interruption.check()
            let run = FinishedRun(
                prepared: prepared, finished: finished, results: results, watch: watch, planSeconds: planSeconds,
                compressSeconds: watch.seconds - planSeconds)
            return try ending(staged, run)
        }
    }

    private func fingerprint() throws -> RunFingerprint {
        var options = Dictionary(uniqueKeysWithValues: request.options.map { ($0.name, $0.value) })
        options["shard"] = request.shard.map { "\($0)" }
        return RunFingerprint(
            inputs: try inputs(), options: options, instructionSet: InstructionSet.active.rawValue)
    }

    private func facts(_ work: FinishedRun) -> RunFacts {
        let seconds = work.watch.seconds
        return RunFacts(
            commandLine: request.commandLine, instructionSet: InstructionSet.active.rawValue, threads: Threads.count,
            seconds: seconds, peakResidentBytes: ResourceUse.peakResidentBytes,
            stages: [
                ("plan", work.planSeconds), ("compress", work.compressSeconds),
                ("write", seconds - work.planSeconds - work.compressSeconds),
            ])
    }

    /// What compression lost, as an adapter for the dense model that the output stands for.
    private func exportAdapter(
        beside output: String, _ progress: any ProgressReporter, _ interruption: Interruption
    ) throws {
        guard let rank = request.adapter else { return }
        let folder = output + "/peft"
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw FileError(.create, folder, code: errno)
        }
        let job = AdapterJob(
            model: request.checkpoint, base: output, output: folder, rank: rank, selection: request.selection)
        if try job.write(to: folder, progress, interruption) == nil {
            try FileSystem.removeTree(folder)
            progress.log(.warning, "no matrix lost anything, so there is no adapter to write: peft is left out")
        }
    }

    /// What the result depends on: the checkpoint, and the files that say how to treat it.
    func inputs() throws -> [String: String] {
        var inputs = try InputFingerprint(of: request.checkpoint).entries()
        for (role, file) in files {
            inputs.merge(try InputFingerprint(of: file).entries(role: role)) { first, _ in first }
        }
        return inputs
    }

    /// The files beside the checkpoint, by what they hold: the same on every machine.
    private func contentDigests() throws -> [String: String] {
        var digests: [String: String] = [:]
        for (role, file) in files {
            digests[role.trimmingCharacters(in: .whitespaces)] = try InputFingerprint(of: file).contentDigest
        }
        return digests
    }

    var files: [(role: String, path: String)] {
        let single = [
            ("plan ", request.planPath), ("stats ", request.objective.statistics),
            ("fisher ", request.objective.fisher), ("spectra ", request.spectra?.path),
        ]
        let texts = request.text?.files ?? []
        return single.compactMap { role, path in path.map { (role, $0) } }
            + texts.enumerated().map { ("text \($0) ", $1) }
    }

    /// What the job would do, without reading a weight or writing a file.
    public func dryRun(progress: any ProgressReporter = SilentProgress()) throws -> PlannedCompression {
        try OutputRequest(request.output, inputs: [request.checkpoint], force: true).validate()
        return try plan(progress: progress)
    }

    /// Opens the checkpoint and decides what becomes of every matrix, as far as shapes tell, or its spectra where the
    /// allocation needs them.
    public func plan(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> PlannedCompression {
        try request.validate()
        return try PlannedCompression(request, progress, interruption)
    }

    /// Runs `work`, and writes what it has finished even where it fails.
    private func compress(
        _ prepared: PlannedCompression, _ finished: FinishedGroups, _ progress: any ProgressReporter,
        _ work: () throws -> [ModuleResult]
    ) throws -> [ModuleResult] {
        let groups = prepared.ownGroups
        progress.begin(
            ProgressStage(
                "compress", total: groups.reduce(0) { $0 + $1.modules.count }, unit: .items("matrices"),
                alreadyDone: try groups.reduce(0) { try $0 + (finished.results(of: $1)?.count ?? 0) }))
        do {
            let results = try work()
            try finished.flush()
            progress.end()
            let order = Dictionary(
                uniqueKeysWithValues: prepared.checkpoint.compressibleModules.enumerated().map { ($1.name, $0) })
            return results.sorted { order[$0.name, default: 0] < order[$1.name, default: 0] }
        } catch {
            // The error is on its way; what is finished is kept where that is still possible.
            try? finished.flush()
            throw error
        }
    }

    private func compressGroups(
        _ prepared: PlannedCompression, _ compression: GroupCompression, _ progress: any ProgressReporter,
        _ interruption: Interruption
    ) throws -> [ModuleResult] {
        let groups = prepared.ownGroups
        var results: [ModuleResult] = []
        for (index, group) in groups.enumerated() {
            try interruption.check()
            if index + 1 < groups.count {
                for planned in groups[index + 1].modules { prepared.checkpoint.prefetch(planned.module) }
            }
            results += try compression.result(of: group, progress)
        }
        return results
    }
}
