import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore
import Models
import Reporting
import Safetensors

/// Refines the numbers of a compressed model against the dense one, without changing a shape.
///
/// 1. Block by block: its matrices one by one by least squares, then together by gradient descent on its output; each
///    block reads what the network recovered so far gives it, so that it makes up for earlier errors.
/// 2. All blocks together, by gradient descent on the predictions.
///
/// Norms, biases, embeddings, the head and dense layers stay. Numbers are trained in Float and rounded once at the end;
/// a stage that is no better on held-out text leaves them as they were. A run that is stopped, or killed, goes on
/// behind its last finished block or epoch with `resume`, and ends with the same bytes.
///
/// - Cost: for each epoch of a stage about three forward passes of the dense model over the text.
public struct RecoverJob: Sendable {
    public var request: RecoveryRequest

    public init(_ request: RecoveryRequest) {
        self.request = request
    }

    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> RecoveryReport {
        let watch = Stopwatch()
        let output = OutputRequest(
            request.output, inputs: [request.checkpoint, request.reference] + request.source.files,
            force: request.force, resume: request.resume)
        try output.validate()
        let prepared = try RecoveryPlan(request, progress)
        try SpaceCheck.require(bytes: prepared.neededBytes, at: request.output)
        return try StagedOutput.write(output, resumable: try fingerprint()) { staged in
            let run = try RecoveryRun(prepared, request, staged.journal, progress, interruption)
            let result = try run.run()
            try interruption.check()
            let operators = try result.layers.rounded()
            try RecoveredOutput(checkpoint: prepared.checkpoint, operators: operators)
                .write(to: staged.path, maximumShardBytes: request.maximumShardBytes, progress, interruption)
            let report = RecoveryReport(
                request, earlier: prepared.report, stages: result.stages, changes: result.changes,
                errors: try prepared.errors(of: operators, computed: result.layers), prepared.text,
                parameters: result.layers.parameters, seconds: watch.seconds)
            try write(report.json, to: staged.path, progress)
            return report
        }
    }

    /// The report, and the pages that are made of it where the compression has left one to go on from.
    private func write(_ report: JSON, to folder: String, _ progress: any ProgressReporter) throws {
        guard report["totals"] != nil else {
            return try AtomicFile.write(report.text(pretty: true), to: folder + "/report.json")
        }
        do {
            try ReportFiles.write(report, to: folder)
        } catch let error as ReportingError {
            // Hours of training are not lost to a report that something else has written.
            progress.log(.warning, "the report has no page: \(error)")
        }
    }

    private func fingerprint() throws -> RunFingerprint {
        var inputs = try InputFingerprint(of: request.checkpoint).entries(role: "model/")
        let others = [("reference/", request.reference)] + request.source.files.enumerated().map { ("text/\($0)/", $1) }
        for (role, path) in others {
            inputs.merge(try InputFingerprint(of: path).entries(role: role)) { first, _ in first }
        }
        return RunFingerprint(
            inputs: inputs, options: Dictionary(uniqueKeysWithValues: request.options.map { ($0.name, $0.value) }),
            instructionSet: InstructionSet.active.rawValue)
    }
}
