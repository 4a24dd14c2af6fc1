import Checkpoints
import CommandLineKit
import CompressionCore
import Foundation
import MatrixCore
import Models
import Safetensors

/// Runs a model over text and says how well it predicts it, alone and beside a reference.
public struct EvalJob: Sendable {
    public var checkpoint: String
    /// What is scored token by token; nil for choices alone.
    public var source: SequenceSource?
    /// A file of questions, one JSON object a line (see `ChoiceItem`).
    public var choicesFile: String?
    /// A checkpoint whose predictions are taken as right.
    public var reference: String?
    /// A safetensors file for the logits (tokens × vocabulary), of encoders the hidden states.
    public var logitsFile: String?
    /// Whether a file of logits that exists is replaced.
    public var force = false
    /// Whether the figures also go into report.json of the checkpoint.
    public var isReported = false
    /// Whether BOS stands before every question.
    public var choicesBegin = false
    /// The schemas of compressed layers that can be read.
    public var library: OperatorLibrary

    public init(
        checkpoint: String, source: SequenceSource?, choicesFile: String? = nil, reference: String? = nil,
        logitsFile: String? = nil, library: OperatorLibrary
    ) {
        self.checkpoint = checkpoint
        self.source = source
        self.choicesFile = choicesFile
        self.reference = reference
        self.logitsFile = logitsFile
        self.library = library
    }

    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> EvalResult {
        try checkOutput()
        let report = try isReported ? EvaluatedReport(folder: checkpoint) : nil
        let model = try Self.open(checkpoint, library, progress)
        var result = EvalResult()
        if let source { try score(source, model, &result, progress, interruption) }
        if let choicesFile { result.choices = try choose(choicesFile, model, progress, interruption) }
        result.peakResidentBytes = ResourceUse.peakResidentBytes
        try report?.add(result)
        return result
    }

    /// The logits must not replace what the run reads, nor anything else unasked.
    private func checkOutput() throws {
        guard let logitsFile else { return }
        let inputs = [checkpoint] + [reference, choicesFile].compactMap { $0 } + (source?.files ?? [])
        try OutputRequest(logitsFile, kind: .file, inputs: inputs, force: force).validate()
    }

    // MARK: Text

    private func score(
        _ source: SequenceSource, _ model: Model, _ result: inout EvalResult, _ progress: any ProgressReporter,
        _ interruption: Interruption
    ) throws {
        let reference = try self.reference.map { try Self.open($0, library, progress) }
        if let reference { try check(reference, against: model) }
        if model.head == nil && reference == nil && logitsFile == nil {
            throw JobError.usage("an encoder predicts no next token; give a --reference to compare embeddings with")
        }
        let sequences = try source.sequences(
            folder: checkpoint, model: model, twin: self.reference, progress
        ).sequences
        let logits = try logitsFile.map { try LogitsFile(path: $0, model: model, sequences: sequences) }
        var evaluation = Evaluation(model: model, reference: reference, logits: logits)
        progress.begin(ProgressStage("eval", total: sequences.count, unit: .items("windows")))
        let watch = Stopwatch()
        for (index, sequence) in sequences.enumerated() {
            try interruption.check()
            try evaluation.add(sequence)
            progress.advance(by: 1, "window \(index + 1)")
        }
        let seconds = watch.seconds
        progress.end()
        try logits?.finish()
        if let loss = evaluation.perplexity?.loss { warn(of: loss, model, progress) }
        let read = sequences.reduce(0) { $0 + $1.count }
        result.text = EvalResult.Text(
            perplexity: evaluation.perplexity, context: try source.context(for: model.description), bos: source.bos,
            dtype: try Self.dtype(of: checkpoint), tokenSHA256: Self.hash(sequences), sequences: sequences.count,
            tokensPerSecond: Double(read) / max(seconds, 1e-9), comparison: evaluation.comparison,
            embeddingCosine: evaluation.embeddingCosine, drift: evaluation.drift)
    }

    /// So far above the loss of guessing, something is wrong; an untrained model is hardly above it.
    private static let doubtfulExcess = 0.5

    private func warn(of loss: Double, _ model: Model, _ progress: any ProgressReporter) {
        guard loss > Foundation.log(Double(model.vocabularySize)) + Self.doubtfulExcess else { return }
        progress.log(
            .warning,
            "\(checkpoint): a loss of \(Quantity.significant(loss, 4)) is worse than guessing among the "
                + "\(Quantity.grouped(model.vocabularySize)) tokens of the vocabulary: the model has lost too much, or "
                + "its tokenizer is another model's")
    }

    // MARK: Choices

    private func choose(
        _ file: String, _ model: Model, _ progress: any ProgressReporter, _ interruption: Interruption
    ) throws -> ChoiceSummary {
        try Self.requireHead(of: model, in: checkpoint)
        let items = try Failure.naming(file: file, tensor: nil) {
            try ChoiceItem.items(jsonLines: try SequenceSource.text(file))
        }
        let scorer = ChoiceScorer(
            model: model, tokenizer: try SequenceSource.tokenizer(checkpoint, of: model, progress),
            begins: choicesBegin)
        progress.begin(ProgressStage("choices", total: items.count, unit: .items("questions")))
        var scores: [ChoiceScore] = []
        for (index, item) in items.enumerated() {
            try interruption.check()
            scores.append(try scorer.score(item))
            progress.advance(by: 1, "question \(index + 1)")
        }
        progress.end()
        return ChoiceSummary(scores)
    }

    // MARK: Models

    /// A model to run, with a warning for all that its files have and it leaves out.
    static func open(
        _ path: String, _ library: OperatorLibrary, _ progress: any ProgressReporter
    ) throws -> Model {
        try Failure.naming(file: path, tensor: nil) {
            let checkpoint = try Checkpoint(path: path)
            for warning in checkpoint.warnings { progress.log(.warning, "\(warning)") }
            let model = try Model(checkpoint, library: library)
            if let doubt = try checkpoint.headDoubt(of: model) { progress.log(.warning, "\(path): \(doubt)") }
            return model
        }
    }

    /// - Throws: `ModelError.noHead`, with the folder, for a model that does not predict tokens.
    static func requireHead(of model: Model, in path: String) throws {
        try Failure.naming(file: path, tensor: nil) {
            guard model.head != nil else { throw ModelError.noHead }
        }
    }

    /// The type that most bytes of the weights have; they are computed with as stored, beside activations in Float.
    static func dtype(of path: String) throws -> TensorDType? {
        var bytes: [TensorDType: Int] = [:]
        for tensor in try Checkpoint(path: path).tensors { bytes[tensor.dtype, default: 0] += tensor.byteCount }
        return bytes.max { ($0.value, $0.key.rawValue) < ($1.value, $1.key.rawValue) }?.key
    }

    private func check(_ reference: Model, against model: Model) throws {
        guard reference.vocabularySize == model.vocabularySize, (reference.head == nil) == (model.head == nil) else {
            throw JobError.badInput(
                "the reference is another model: its vocabulary has \(reference.vocabularySize) tokens, not "
                    + "\(model.vocabularySize)", file: self.reference)
        }
    }

    /// SHA-256 of the scored ids as little-endian int32.
    static func hash(_ sequences: [[Int32]]) -> String {
        var hash = SHA256()
        for sequence in sequences {
            sequence.dropFirst().map(\.littleEndian).withUnsafeBytes { hash.update($0) }
        }
        return hash.finish()
    }
}
