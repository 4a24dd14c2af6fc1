import Checkpoints
import CommandLineKit
import Foundation
import Kernels
import Models
import Safetensors
import Statistics

/// Runs a model over text and writes the second moments of the inputs of all its linear layers.
///
/// The model is gone through layer by layer: all sequences through the first, then all through the second. So the
/// moments of one layer are in memory at a time, its weights are read once, and hidden states wait on the disk. Where
/// the moments of a layer are more than the memory given, the layer is run again for the rest of them. A run that is
/// stopped, or killed, goes on behind its last finished layer with `resume`, and ends with the same bytes.
///
/// Then, unless that is not wanted, the sequences go through the model and back for the moments of the gradients
/// towards the outputs of the layers (`GradientCalibration`).
///
/// - Cost: the forward pass without the head, and n² operations in Double for each token and input of n features; four
///   times that for gradients.
public struct CalibrateJob: Sendable {
    public var request: CalibrationRequest

    public init(_ request: CalibrationRequest) {
        self.request = request
    }

    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> CalibrationResult {
        let watch = Stopwatch()
        let output = outputRequest
        try output.validate()
        let prepared = try prepare(progress)
        let plan = try CalibrationPlan(prepared.model, memoryBytes: memoryBytes)
        try SpaceCheck.require(bytes: try neededBytes(prepared), at: request.output)
        let fingerprint = try fingerprint(prepared.header.precision)
        return try StagedOutput.write(output, resumable: fingerprint) { staged in
            let calibration = LayerCalibration(
                model: prepared.model, checkpoint: prepared.checkpoint, sequences: prepared.sequences,
                journal: staged.journal, header: prepared.header, base: prepared.base)
            let gradients = GradientCalibration(
                model: prepared.model, sequences: prepared.sequences, journal: staged.journal, header: prepared.header,
                base: prepared.base)
            let backward = try GradientCalibration.passes(prepared.header.gradients, memoryBytes: memoryBytes)
            progress.begin(
                ProgressStage(
                    "calibrate", total: (plan.passes.count + backward.count) * prepared.sequences.count,
                    unit: .items("windows"), alreadyDone: staged.unitsAtStart * prepared.sequences.count))
            try run(plan, calibration, progress, interruption)
            for pass in backward { try gradients.run(pass, progress, interruption) }
            progress.end()
            let parts =
                plan.passes.map { (calibration.path(of: $0), $0.inputs) }
                + backward.map { (gradients.path(of: $0), $0.gradients) }
            try assemble(parts, prepared.header, at: staged.path, interruption)
            let written = try ActivationStatistics(path: staged.path)
            try warnOfFewTokens(written, progress)
            return CalibrationResult(
                output: request.output, header: written.header, run: prepared.run, bytes: written.byteCount,
                seconds: watch.seconds)
        }
    }

    private var outputRequest: OutputRequest {
        var output = OutputRequest(
            request.output, kind: .file, inputs: request.source.files + [request.checkpoint], force: request.force,
            resume: request.resume)
        output.updates = request.appends
        return output
    }

    private var memoryBytes: Int { request.memoryBytes ?? ResourceUse.physicalBytes / 2 }

    // MARK: Before

    private struct Prepared {
        let checkpoint: Checkpoint
        let model: Model
        let sequences: [[Int32]]
        let base: ActivationStatistics?
        let header: StatisticsHeader
        let run: CalibrationRun
    }

    private func prepare(_ progress: any ProgressReporter) throws -> Prepared {
        let path = request.checkpoint
        let (checkpoint, model) = try Failure.naming(file: path, tensor: nil) {
            let checkpoint = try Checkpoint(path: path)
            for warning in checkpoint.warnings { progress.log(.warning, "\(warning)") }
            let model = try Model(checkpoint, library: MethodRegistry.library)
            if let doubt = try checkpoint.headDoubt(of: model) { progress.log(.warning, "\(path): \(doubt)") }
            return (checkpoint, model)
        }
        let fingerprint = try checkpoint.fingerprint()
        let base = try base(fingerprint, model)
        let sequences = try request.source.sequences(folder: path, model: model, progress).sequences
        let documents: String? =
            if case .documents(let separator) = request.source.division { separator } else { nil }
        let run = CalibrationRun(
            tokenSHA256: EvalJob.hash(sequences), tokens: sequences.reduce(0) { $0 + $1.count },
            windows: sequences.count, context: try request.source.context(for: model.description),
            bos: request.source.bos.rawValue, documents: documents,
            program: "\(ProgramIdentity.name) \(ProgramIdentity.version)")
        let header = StatisticsHeader(
            modelFingerprint: fingerprint, modelType: checkpoint.modelType,
            precision: request.precision ?? base?.header.precision ?? .f64, inputs: model.inputs,
            gradients: try gradients(model, base, progress), runs: (base?.header.runs ?? []) + [run])
        return Prepared(
            checkpoint: checkpoint, model: model, sequences: sequences, base: base, header: header, run: run)
    }

    /// The gradients to look at: those that the file added to has, or what fits.
    private func gradients(
        _ model: Model, _ base: ActivationStatistics?, _ progress: any ProgressReporter
    ) throws -> [LayerInput] {
        let all = GradientCalibration.gradients(model)
        if let base {
            let known = !base.header.gradients.isEmpty
            guard request.gradients == .auto || known == (request.gradients == .always) else {
                throw JobError.usage(
                    "\(request.output) has \(known ? "" : "no ")gradients; leave out --gradients, or calibrate anew")
            }
            return known ? all : []
        }
        switch request.gradients {
        case .never: return []
        case .always: return all
        case .auto:
            let bytes = all.reduce(0) { $0 + InputMoments.bytes(features: $1.features) }
            guard bytes > memoryBytes else { return all }
            progress.log(
                .notice,
                "moments of gradients would take \(ByteCount.human(bytes)), more than --memory, and are left out; give "
                    + "--gradients always to collect them in several passes")
            return []
        }
    }

    /// The statistics to add to.
    private func base(_ fingerprint: String, _ model: Model) throws -> ActivationStatistics? {
        guard request.appends, try FileSystem.entry(at: request.output) != nil else { return nil }
        let base = try ActivationStatistics(path: request.output)
        try base.require(model: fingerprint)
        if base.header.inputs != model.inputs {
            throw JobError.badInput(
                "its inputs are not those that this program looks at; calibrate anew", file: request.output)
        }
        if let precision = request.precision, precision != base.header.precision {
            throw JobError.usage(
                "\(request.output) holds \(base.header.precision.rawValue) moments; leave out --precision")
        }
        return base
    }

    /// The output, the finished layers beside it, and the hidden states before and behind a layer.
    private func neededBytes(_ prepared: Prepared) throws -> Int {
        let hidden = HiddenStates.bytes(tokens: prepared.run.tokens, hidden: prepared.model.description.hidden)
        return try 2 * (StatisticsWriter.byteCount(prepared.header) + hidden)
    }

    private func fingerprint(_ precision: StatisticsHeader.Precision) throws -> RunFingerprint {
        var inputs = try InputFingerprint(of: request.checkpoint).entries(role: "model/")
        for (index, file) in request.source.files.enumerated() {
            inputs.merge(try InputFingerprint(of: file).entries(role: "text/\(index)/")) { first, _ in first }
        }
        if request.appends, try FileSystem.entry(at: request.output) != nil {
            inputs.merge(try InputFingerprint(of: request.output).entries(role: "base/")) { first, _ in first }
        }
        return RunFingerprint(
            inputs: inputs, options: request.options(precision: precision, memoryBytes: memoryBytes),
            instructionSet: InstructionSet.active.rawValue)
    }

    // MARK: The work

    private func run(
        _ plan: CalibrationPlan, _ calibration: LayerCalibration, _ progress: any ProgressReporter,
        _ interruption: Interruption
    ) throws {
        var previous: CalibrationPlan.Pass?
        for pass in plan.passes {
            try calibration.run(pass, after: previous, progress, interruption)
            if pass.isLastOfLayer { previous = pass }
        }
    }

    /// - Parameter parts: files, and what to take from each.
    private func assemble(
        _ parts: [(path: String, sums: [LayerInput])], _ header: StatisticsHeader, at path: String,
        _ interruption: Interruption
    ) throws {
        let writer = try StatisticsWriter(path: path, header: header)
        for part in parts {
            let file = try ActivationStatistics(path: part.path)
            for sums in part.sums {
                try interruption.check()
                try writer.copy(sums, from: file)
            }
        }
        try writer.finish()
    }

    private func warnOfFewTokens(_ statistics: ActivationStatistics, _ progress: any ProgressReporter) throws {
        var few: [(input: LayerInput, tokens: Int)] = []
        for input in statistics.header.inputs {
            let tokens = try statistics.tokens(of: input)
            if tokens < input.features { few.append((input, tokens)) }
        }
        guard let worst = few.min(by: { $0.tokens * $1.input.features < $1.tokens * $0.input.features }) else { return }
        progress.log(
            .warning,
            "\(few.count) of \(statistics.header.inputs.count) inputs saw fewer tokens than they have features, so "
                + "their moments are singular; at worst \(worst.input.name): rank at most \(worst.tokens) of "
                + "\(worst.input.features). More text helps")
    }
}
