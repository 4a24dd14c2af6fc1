import Checkpoints
import CommandLineKit
import MatrixCore
import Models
import Safetensors
import Statistics

/// Runs all sequences through one layer, adds up some of its inputs, and leaves the sums in the journal, with the
/// layer's outputs where the next layer needs them.
///
/// A pass that is done is not repeated: its sums, and the outputs of the layer, are there or none of them is.
struct LayerCalibration {
    let model: Model
    let checkpoint: Checkpoint
    let sequences: [[Int32]]
    let journal: Journal
    let header: StatisticsHeader
    /// What the sums start from.
    let base: ActivationStatistics?

    /// - Parameter previous: the last pass of the layer below; nil for the first layer.
    func run(
        _ pass: CalibrationPlan.Pass, after previous: CalibrationPlan.Pass?, _ progress: any ProgressReporter,
        _ interruption: Interruption
    ) throws {
        if try journal.record(of: pass.unit) == nil {
            let moments = try sums(pass, after: previous, progress, interruption)
            try write(moments, pass)
            // A layer of several passes counts with its last.
            try journal.finish(
                pass.unit, record: ["inputs": JSON(pass.inputs.map(\.name))],
                work: FinishedWork(pass.isLastOfLayer ? 1 : 0, .layer))
        }
        if pass.isLastOfLayer, let previous { try FileSystem.removeTree(hiddenPath(of: previous)) }
    }

    /// The sums of a finished pass.
    func path(of pass: CalibrationPlan.Pass) -> String { journal.dataPath(of: pass.unit, ".safetensors") }

    private func hiddenPath(of pass: CalibrationPlan.Pass) -> String {
        journal.dataPath(of: pass.unit, ".hidden.safetensors")
    }

    /// Whether no layer reads what the layer of the pass gives.
    private func isOfLastLayer(_ pass: CalibrationPlan.Pass) -> Bool {
        pass.layer == model.description.layers - 1
    }

    // MARK: A pass

    private func sums(
        _ pass: CalibrationPlan.Pass, after previous: CalibrationPlan.Pass?, _ progress: any ProgressReporter,
        _ interruption: Interruption
    ) throws -> [LayerInput: InputMoments] {
        let moments = try startingSums(pass.inputs)
        let state = model.makeState(.onePass)
        state.observer = MomentRecorder(moments)
        let hidden = model.description.hidden
        let source = try previous.map { try HiddenStates(path: hiddenPath(of: $0), hidden: hidden) }
        let isKept = pass.isLastOfLayer && !isOfLastLayer(pass)
        let target = try isKept ? HiddenStates.Writer(path: hiddenPath(of: pass), tokens: tokens, hidden: hidden) : nil
        let headMoments = model.headInput.flatMap { moments[$0] }
        var buffer = Matrix(uninitializedRows: sequences.map(\.count).max() ?? 0, columns: hidden)
        var start = 0
        for sequence in sequences {
            try interruption.check()
            let x = buffer.mutableView().rows(0..<sequence.count)
            try load(sequence, at: start, from: source, into: x, state)
            try model.apply(layer: pass.layer, to: x, state)
            try target?.append(x.readable)
            if let headMoments {
                model.applyFinalNorm(to: x)
                headMoments.add(x.readable)
            }
            start += sequence.count
            progress.advance(by: 1, "layer \(pass.layer)")
        }
        try target?.finish()
        for tensor in checkpoint.tensors where tensor.layer == pass.layer { checkpoint.dropPages(of: tensor.name) }
        return moments
    }

    private var tokens: Int { sequences.reduce(0) { $0 + $1.count } }

    private func startingSums(_ inputs: [LayerInput]) throws -> [LayerInput: InputMoments] {
        var sums: [LayerInput: InputMoments] = [:]
        for input in inputs {
            sums[input] = try base?.moments(of: input) ?? InputMoments(features: input.features)
        }
        return sums
    }

    /// The states of a sequence before the layer.
    private func load(
        _ sequence: [Int32], at start: Int, from source: HiddenStates?, into x: MutableMatrixView<Float>,
        _ state: SequenceState
    ) throws {
        if let source { return try source.read(start..<start + sequence.count, into: x) }
        let embedded = try model.embeddings(of: sequence, state)
        for row in 0..<x.rows {
            (x.base + row * x.rowStride).update(from: embedded.base + row * embedded.rowStride, count: x.columns)
        }
    }

    private func write(_ moments: [LayerInput: InputMoments], _ pass: CalibrationPlan.Pass) throws {
        var header = header
        header.inputs = pass.inputs
        header.gradients = []
        let writer = try StatisticsWriter(path: path(of: pass), header: header)
        for input in pass.inputs {
            guard let sums = moments[input] else { preconditionFailure("every input of a pass has sums") }
            try writer.append(sums, of: input)
        }
        try writer.finish()
    }
}
