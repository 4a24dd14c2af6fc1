import CommandLineKit
import Models
import Safetensors
import Statistics

/// Runs all sequences through a model and back, adds up the second moments of the gradients that reach the outputs of
/// some layers, and leaves the sums in the journal.
///
/// The gradients of a layer need those of all layers behind it, so a pass goes through the whole model; it adds up as
/// many layers as fit in memory together. A pass that is done is not repeated.
struct GradientCalibration {
    /// A way through the model and back.
    struct Pass {
        let gradients: [LayerInput]
        /// Name in the journal.
        let unit: String
    }

    let model: Model
    let sequences: [[Int32]]
    let journal: Journal
    let header: StatisticsHeader
    /// What the sums start from.
    let base: ActivationStatistics?

    /// Gradients of the layers of all blocks, in the order of the model.
    static func gradients(_ model: Model) -> [LayerInput] {
        (0..<model.description.layers).flatMap { layer in
            model.outputs(ofLayer: layer).map { LayerInput.gradients(of: $0.module, outputs: $0.features) }
        }
    }

    /// Neighbours as long as they fit.
    static func passes(_ gradients: [LayerInput], memoryBytes: Int) throws -> [Pass] {
        try CalibrationPlan.groups(of: gradients, memoryBytes: memoryBytes).enumerated().map {
            Pass(gradients: $1, unit: "gradients-pass-\($0)")
        }
    }

    /// The sums of a finished pass.
    func path(of pass: Pass) -> String { journal.dataPath(of: pass.unit, ".safetensors") }

    func run(_ pass: Pass, _ progress: any ProgressReporter, _ interruption: Interruption) throws {
        guard try journal.record(of: pass.unit) == nil else { return }
        let sums = try startingSums(of: pass)
        let gradientPass = GradientPass(model) { module, gradients in
            sums[LayerInput.gradients(of: module, outputs: gradients.columns).name]?.add(gradients)
        }
        for sequence in sequences {
            try interruption.check()
            try gradientPass.run(sequence)
            progress.advance(by: 1, "gradients")
        }
        try write(sums, pass)
        try journal.finish(pass.unit, record: ["gradients": JSON(pass.gradients.map(\.name))])
    }

    private func startingSums(of pass: Pass) throws -> [String: InputMoments] {
        var sums: [String: InputMoments] = [:]
        for gradients in pass.gradients {
            sums[gradients.name] = try base?.moments(of: gradients) ?? InputMoments(features: gradients.features)
        }
        return sums
    }

    private func write(_ sums: [String: InputMoments], _ pass: Pass) throws {
        var header = header
        header.inputs = []
        header.gradients = pass.gradients
        let writer = try StatisticsWriter(path: path(of: pass), header: header)
        for gradients in pass.gradients {
            guard let sum = sums[gradients.name] else { preconditionFailure("every layer of a pass has sums") }
            try writer.append(sum, of: gradients)
        }
        try writer.finish()
    }
}
