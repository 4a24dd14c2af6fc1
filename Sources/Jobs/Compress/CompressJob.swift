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
/// 3. The output is put together beside its name and appears by one rename.
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
        let watch = Stopwatch()
        let output = OutputRequest(
            request.output, inputs: [request.checkpoint] + files.map(\.path), force: request.force, resume: request.resume)
        try output.validate()
        let prepared = try plan(progress: progress, interruption: interruption)
        let sequential = try SequentialCompression.asked(of: prepared, by: request.objective, progress)
        let planSeconds = watch.seconds
        let fingerprint = RunFingerprint(
            inputs: try inputs(),
            options: Dictionary(uniqueKeysWithValues: request.options.map { ($0.name, $0.value) }),
            instructionSet: InstructionSet.active.rawValue)
        try SpaceCheck.require(bytes: try prepared.neededBytes, at: request.output)
        return try StagedOutput.write(output, resumable: fingerprint) { staged in
            let finished = try FinishedGroups(staged.journal, unitSize)
            let compression = GroupCompression(
                checkpoint: prepared.checkpoint, objectives: prepared.objectives, finished: finished,
                control: request.control.map { Control(kind: $0, settings: request.settings) })
            let results = try compress(prepared, finished, progress) {
                if let sequential {
                    return try sequential.run(compression, prepared.objectives, staged.journal, progress, interruption)
                }
                return try compressGroups(prepared, compression, progress, interruption)
            }
            try interruption.check()
            let compressSeconds = watch.seconds
            let assembly = try OutputAssembly(prepared.checkpoint, prepared.plan, results, finished)
            let written = try assembly.write(
                to: staged.path, maximumShardBytes: request.maximumShardBytes, progress: progress)
            let report = try CompressionReport(
                request, prepared, results,
                stored: .init(parameters: written.parameterCount - assembly.indexElements, bytes: written.tensorBytes),
                seconds: watch.seconds,
                stages: [
                    ("plan", planSeconds), ("compress", compressSeconds - planSeconds),
                    ("write", watch.seconds - compressSeconds),
                ])
            try prepared.checkTarget(report)
            if !results.contains(where: \.isCompressed) {
                progress.log(.warning, "no matrix became smaller; the output is a copy of \(request.checkpoint)")
            }
            try ReportFiles.write(report.json, to: staged.path)
            try exportAdapter(beside: staged.path, progress, interruption)
            return report
        }
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
        _ = try job.write(to: folder, progress, interruption)
    }

    /// What the result depends on: the checkpoint, and the files that say how to treat it.
    func inputs() throws -> [String: String] {
        var inputs = try InputFingerprint(of: request.checkpoint).entries()
        for (role, file) in files {
            inputs.merge(try InputFingerprint(of: file).entries(role: role)) { first, _ in first }
        }
        return inputs
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
        try PlannedCompression(request, progress, interruption)
    }

    /// Runs `work`, and writes what it has finished even where it fails.
    private func compress(
        _ prepared: PlannedCompression, _ finished: FinishedGroups, _ progress: any ProgressReporter,
        _ work: () throws -> [ModuleResult]
    ) throws -> [ModuleResult] {
        let groups = prepared.plan.groups
        progress.begin(
            ProgressStage(
                "compress", total: prepared.plan.modules.count, unit: .items("matrices"),
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
        let groups = prepared.plan.groups
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
