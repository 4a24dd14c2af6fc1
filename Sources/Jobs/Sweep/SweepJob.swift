import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import Planning
import Reporting
import Safetensors

/// Compresses a checkpoint in many ways at once, and says what each costs and loses.
///
/// 1. All points are planned, and everything that can be wrong is checked.
/// 2. Matrix by matrix, every point; finished work is in the journal, and a run that is stopped goes on there.
/// 3. With text, every point is run over it.
/// 4. The checkpoints that are asked for are put together: the bytes that `compress` writes.
public struct SweepJob: Sendable {
    public var request: SweepRequest
    public var unitSize: UnitSize

    public init(_ request: SweepRequest, unitSize: UnitSize = .usual) {
        self.request = request
        self.unitSize = unitSize
    }

    @discardableResult
    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> SweepReport {
        let output = OutputRequest(
            request.output, inputs: [request.checkpoint] + request.files.map(\.path), force: request.force,
            resume: request.resume)
        try output.validate()
        let plan = try SweepPlan(request, progress, interruption)
        let evaluation = try request.evaluation.map { try SweepEvaluation(plan.checkpoint, $0, progress, interruption) }
        try SpaceCheck.require(bytes: try plan.neededBytes(request), at: request.output)
        return try StagedOutput.write(output, resumable: try fingerprint()) { staged in
            let records = try staged.journal.records()
            let compression = try SweepCompression(
                plan, staged.journal, pointUnits, keepsTensors: { keepsTensors(plan.points[$0].point) },
                records: records, progress, interruption)
            let results = try compression.run()
            let scores = try evaluation.map {
                try score(plan, compression, results, $0, staged.journal, progress, interruption)
            }
            var points: [SweepReport.Point] = []
            for (index, point) in plan.points.enumerated() {
                try interruption.check()
                let report = try finish(
                    point, results[index], compression.finished(index), in: staged.path, progress, interruption)
                if let evaluation, let scores, let folder = folder(of: point.point) {
                    try evaluation.report(scores.points[index], in: "\(staged.path)/\(folder)")
                }
                points.append(
                    SweepReport.Point(
                        point.point, report, score: scores?.points[index], output: folder(of: point.point)))
            }
            let found = try SweepReport(
                request, plan.checkpoint, points,
                evaluation: evaluation.flatMap { evaluation in scores.map { (evaluation.json, $0.source) } })
            try AtomicFile.write(found.csv, to: staged.path + "/sweep.csv")
            try AtomicFile.write(found.json.text(pretty: true), to: staged.path + "/sweep.json")
            try AtomicFile.write(try SweepPage.html(from: found.json, limit: nil), to: staged.path + "/sweep.html")
            return found
        }
    }

    private func fingerprint() throws -> RunFingerprint {
        var inputs = try InputFingerprint(of: request.checkpoint).entries()
        for (role, file) in request.files {
            inputs.merge(try InputFingerprint(of: file).entries(role: role)) { first, _ in first }
        }
        return RunFingerprint(
            inputs: inputs, options: request.options, instructionSet: InstructionSet.active.rawValue)
    }

    /// Every point has units of its own; together they take the memory, and the share of time, of one compression.
    private var pointUnits: UnitSize {
        let count = request.points.count
        return UnitSize(
            bytes: max(unitSize.bytes / count, 1 << 20), seconds: unitSize.seconds * min(Double(count), 10))
    }

    private func keepsTensors(_ point: SweepPoint) -> Bool {
        request.evaluation != nil || request.written.contains(point.label)
    }

    // MARK: Points

    /// Where the checkpoint of a point goes, relative to the results; nil where it is not written.
    private func folder(of point: SweepPoint) -> String? {
        request.written.contains(point.label) ? "points/" + point.label : nil
    }

    /// The report of a point; its checkpoint is written where that is asked for.
    private func finish(
        _ point: SweepPlan.Point, _ results: [ModuleResult], _ finished: FinishedGroups, in output: String,
        _ progress: any ProgressReporter, _ interruption: Interruption
    ) throws -> CompressionReport {
        let prepared = point.prepared
        let outline = CompressionOutline(point.point.request, prepared.plan)
        func facts() -> RunFacts {
            RunFacts(
                commandLine: request.commandLine, instructionSet: InstructionSet.active.rawValue,
                threads: Threads.count, seconds: results.reduce(0) { $0 + ($1.report["seconds"]?.double ?? 0) },
                peakResidentBytes: ResourceUse.peakResidentBytes)
        }
        guard let folder = folder(of: point.point) else {
            let report = try CompressionReport(
                outline, prepared.checkpoint, results, stored: try prepared.stored(results), run: facts())
            try outline.checkTarget(report)
            return report
        }
        let path = output + "/" + folder
        try FileSystem.makeFolder(output + "/points")
        try FileSystem.makeFolder(path)
        let ending = CompressionEnding(
            checkpoint: prepared.checkpoint, outline: outline, results: results,
            tensors: try finished.tensors(of: prepared.plan.groups), interruption: interruption)
        return try ending.write(to: path, progress: progress, run: facts)
    }

    // MARK: Evaluation

    /// The score of the source and of every point; those of an earlier run are taken from the journal.
    private func score(
        _ plan: SweepPlan, _ compression: SweepCompression, _ results: [[ModuleResult]], _ evaluation: SweepEvaluation,
        _ journal: Journal, _ progress: any ProgressReporter, _ interruption: Interruption
    ) throws -> (source: SweepEvaluation.Score, points: [SweepEvaluation.Score]) {
        progress.begin(ProgressStage("eval", total: plan.points.count + 1, unit: .items("models")))
        defer { progress.end() }
        func score(
            _ label: String, _ operators: () throws -> [String: any LinearOperator]
        ) throws -> SweepEvaluation.Score {
            try interruption.check()
            defer { progress.advance(by: 1, label) }
            let unit = "score " + label
            if let known = try journal.record(of: unit).flatMap({ SweepEvaluation.Score(record: $0) }) { return known }
            let found = try evaluation.score(replacing: try operators())
            var record = found.record
            record["scope"] = JSON(unit)
            try journal.finish(unit, record: record)
            return found
        }
        let source = try score("source") { [:] }
        let points = try plan.points.enumerated().map { index, point in
            try score(point.point.label) {
                try Self.operators(of: point.prepared, results[index], compression.finished(index))
            }
        }
        return (source, points)
    }

    private static func operators(
        of prepared: PlannedCompression, _ results: [ModuleResult], _ finished: FinishedGroups
    ) throws -> [String: any LinearOperator] {
        let byName = Dictionary(uniqueKeysWithValues: results.map { ($0.name, $0) })
        var operators: [String: any LinearOperator] = [:]
        for group in prepared.plan.groups {
            for result in group.modules.compactMap({ byName[$0.module.name] }) {
                operators[result.name] = try finished.compressedOperator(of: result, in: group)
            }
        }
        return operators
    }
}
