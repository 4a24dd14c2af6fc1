import Checkpoints
import CommandLineKit
import CompressionCore
import Foundation
import Kernels
import LinearAlgebra
import MatrixCore
import Planning
import Safetensors

/// Looks at the weights of a model before any work: which method can work where.
///
/// For every matrix its spectrum (`SpectrumShape`), with statistics also that of W X, and its largest entries. For
/// matrices that a tensor form would tie (the same projection of the next block, the heads of a projection, the experts
/// of a block) how far their leading subspaces are the same, beside chance; and for neighbouring blocks what sharing a
/// basis would lose beside factors of their own at equal size.
///
/// - Cost: one decomposition a matrix, one of twice its size for every neighbouring pair, small ones for heads. Memory
///   is that of one pair of matrices, and of the leading subspaces of a block.
public struct DiagnoseJob: Sendable {
    public var request: DiagnoseRequest

    public init(_ request: DiagnoseRequest) {
        self.request = request
    }

    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> Diagnosis {
        let checkpoint = try Checkpoint(path: request.checkpoint)
        for warning in checkpoint.warnings { progress.log(.warning, "\(warning)") }
        let modules = try request.selection.modules(of: checkpoint)
        return try withStatistics(progress, interruption) { statistics in
            let objectives = try ObjectiveSource(
                ObjectiveRequest(statistics: statistics), of: checkpoint, modules: modules, progress)
            var survey = DiagnosisSurvey(checkpoint, objectives, keep: request.keep)
            progress.begin(ProgressStage("diagnose", total: modules.count, unit: .items("matrices")))
            defer { progress.end() }
            for module in modules {
                try interruption.check()
                try Failure.naming(file: checkpoint.file(of: module.weightName), tensor: module.weightName) {
                    try survey.add(module)
                }
                checkpoint.dropPages(of: module)
                progress.advance(by: 1, module.name)
            }
            return try survey.diagnosis()
        }
    }

    /// Runs `body` with the statistics given, or with those of the text, which live as long.
    private func withStatistics(
        _ progress: any ProgressReporter, _ interruption: Interruption, _ body: (String?) throws -> Diagnosis
    ) throws -> Diagnosis {
        guard request.statistics == nil, let text = request.text else { return try body(request.statistics) }
        let scratch = try ScratchFolder()
        defer { withExtendedLifetime(scratch) {} }
        let path = scratch.path + "/statistics.safetensors"
        _ = try CalibrateJob(CalibrationRequest(checkpoint: request.checkpoint, source: text, output: path))
            .run(progress: progress, interruption: interruption)
        return try body(path)
    }
}
