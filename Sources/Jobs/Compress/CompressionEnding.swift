import Checkpoints
import CommandLineKit
import CompressionCore
import Safetensors

/// The end of a compression: finished groups become the output folder with its report.
///
/// The same for a run that did all groups and for parts that were done elsewhere, so both give the same bytes.
struct CompressionEnding {
    let checkpoint: Checkpoint
    let outline: CompressionOutline
    /// In the order of the model's modules.
    let results: [ModuleResult]
    let tensors: FinishedTensors
    let interruption: Interruption

    /// - Parameters:
    ///   - folder: empty; everything put there becomes the output.
    ///   - run: asked at the end, when the time is known.
    func write(
        to folder: String, progress: any ProgressReporter, run: () -> RunFacts
    ) throws -> CompressionReport {
        let assembly = try OutputAssembly(checkpoint, outline, results, tensors, interruption: interruption)
        let written = try assembly.write(to: folder, progress: progress)
        let report = try CompressionReport(
            outline, checkpoint, results,
            stored: .init(parameters: written.parameterCount - assembly.indexElements, bytes: written.tensorBytes),
            run: run())
        try outline.checkTarget(report)
        if !results.contains(where: \.isCompressed) {
            progress.log(.warning, "no matrix became smaller; the output is a copy of \(checkpoint.path)")
        }
        try ReportFiles.write(report.json, to: folder)
        return report
    }
}

/// How a compression was run: what two runs to the same bytes may differ in, and the instruction set.
struct RunFacts {
    let commandLine: [String]
    let instructionSet: String
    let threads: Int
    let seconds: Double
    let peakResidentBytes: Int
    /// Where the time went, in order.
    var stages: [(name: String, seconds: Double)] = []
}
