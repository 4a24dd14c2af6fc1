import Checkpoints
import CommandLineKit
import LinearAlgebra
import Safetensors

/// Tells what is in a checkpoint: its family, tensors, number formats, parameters by role and shards, and if asked for
/// how the energy of each weight is spread over its singular values.
///
/// - Cost: reads headers only; with spectra, one decomposition for each linear layer that is compressed by default.
public struct InspectJob: Sendable {
    public let checkpoint: String
    /// Whether to decompose the weights.
    public var includesSpectra: Bool
    public var access: SafetensorsFile.Access

    public init(checkpoint: String, includesSpectra: Bool = false, access: SafetensorsFile.Access = .usual) {
        self.checkpoint = checkpoint
        self.includesSpectra = includesSpectra
        self.access = access
    }

    /// - Throws: `CheckpointError`; `Failure` naming the tensor where a weight is not finite or cannot be decomposed;
    ///   `JobError.interrupted`.
    public func run(progress: any ProgressReporter, interruption: Interruption) throws -> InspectReport {
        let checkpoint = try Checkpoint(path: checkpoint, access: access)
        for warning in checkpoint.warnings { progress.log(.warning, "\(warning)") }
        let spectra = includesSpectra ? try spectra(of: checkpoint, progress, interruption) : nil
        return InspectReport(checkpoint: checkpoint, tiedHead: try checkpoint.tiedHead(), spectra: spectra)
    }

    private func spectra(
        of checkpoint: Checkpoint, _ progress: any ProgressReporter, _ interruption: Interruption
    ) throws -> [WeightSpectrum] {
        let modules = checkpoint.linearModules.filter(\.selectedByDefault)
        progress.begin(ProgressStage("spectra", total: modules.count, unit: .items("weights")))
        defer { progress.end() }
        var spectra: [WeightSpectrum] = []
        for module in modules {
            try interruption.check()
            let singularValues = try Failure.naming(file: checkpoint.path, tensor: module.weightName) {
                try TruncatedSVD().spectrum(checkpoint.operand(of: module))
            }
            checkpoint.dropPages(of: module)
            spectra.append(WeightSpectrum(module: module, singularValues: singularValues))
            progress.advance(by: 1, module.name)
        }
        return spectra
    }
}

/// How the energy Σσ² of one weight is spread.
public struct WeightSpectrum: Sendable {
    public let module: LinearModule
    public let norm: Double
    public let largest: Double
    /// exp of the entropy of σ²/Σσ².
    public let effectiveRank: Double
    /// Smallest ranks that keep 90 % and 99 % of Σσ².
    public let rankKeeping90: Int
    public let rankKeeping99: Int

    init(module: LinearModule, singularValues: [Double]) {
        self.module = module
        largest = singularValues.first ?? 0
        let scale = largest
        norm = scale > 0 ? scale * singularValues.reduce(0) { $0 + ($1 / scale) * ($1 / scale) }.squareRoot() : 0
        effectiveRank = LinearAlgebra.effectiveRank(of: singularValues)
        rankKeeping90 = rankKeeping(0.9, of: singularValues)
        rankKeeping99 = rankKeeping(0.99, of: singularValues)
    }

    public var fullRank: Int { min(module.outFeatures, module.inFeatures) }
}
