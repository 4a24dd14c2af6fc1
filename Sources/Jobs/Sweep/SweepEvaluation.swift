import Checkpoints
import CommandLineKit
import CompressionCore
import Models
import Safetensors

/// The perplexity of the source and of every point over the same sequences.
///
/// Points are run with their matrices where they lie on the disk; none is put together first.
struct SweepEvaluation {
    private let checkpoint: Checkpoint
    private let source: SequenceSource
    private let context: Int
    private let sequences: [[Int32]]
    private let interruption: Interruption

    /// What a model makes of the sequences.
    struct Score {
        let figures: Perplexity

        var perplexity: Double { figures.perplexity }
        /// Of the loss.
        var standardError: Double { figures.standardError }
    }

    /// - Throws: `JobError.usage` for an encoder; what is wrong with the model or the text.
    init(
        _ checkpoint: Checkpoint, _ source: SequenceSource, _ progress: any ProgressReporter,
        _ interruption: Interruption
    ) throws {
        let model = try Failure.naming(file: checkpoint.path, tensor: nil) {
            try Model(checkpoint, library: MethodRegistry.library)
        }
        guard model.head != nil else {
            throw JobError.usage("an encoder predicts no next token and has no perplexity; leave out --eval-text")
        }
        self.checkpoint = checkpoint
        self.source = source
        self.interruption = interruption
        context = try source.context(for: model.description)
        sequences = try source.sequences(folder: checkpoint.path, model: model, progress).sequences
        if let doubt = try checkpoint.headDoubt(of: model) { progress.log(.warning, "\(checkpoint.path): \(doubt)") }
    }

    /// Scores the model with some of its matrices replaced.
    func score(replacing operators: [String: any LinearOperator]) throws -> Score {
        let model = try Model(checkpoint, library: MethodRegistry.library, replacing: operators)
        var evaluation = Evaluation(model: model, reference: nil, logits: nil)
        for sequence in sequences {
            try interruption.check()
            try evaluation.add(sequence)
        }
        guard let found = evaluation.perplexity else { preconditionFailure("a model with a head has a perplexity") }
        return Score(figures: found)
    }

    /// Writes a score into the report of the folder that it is of, as `eval --report` does.
    func report(_ score: Score, in folder: String) throws {
        var result = EvalResult()
        result.text = EvalResult.Text(
            perplexity: score.figures, context: context, bos: source.bos, dtype: try EvalJob.dtype(of: folder),
            tokenSHA256: EvalJob.hash(sequences), sequences: sequences.count, tokensPerSecond: 0)
        try EvaluatedReport(folder: folder).add(result)
    }

    /// What was scored, as `eval` states it.
    var json: JSON {
        [
            "tokens": JSON(sequences.reduce(0) { $0 + max($1.count - 1, 0) }), "windows": JSON(sequences.count),
            "context": JSON(context), "bos": JSON(source.bos.rawValue),
            "token_sha256": JSON(EvalJob.hash(sequences)),
        ]
    }
}

extension SweepEvaluation.Score {
    init?(record: JSON) {
        guard let losses = record["losses"]?.array, let tokens = record["tokens"]?.array, losses.count == tokens.count
        else { return nil }
        var figures = Perplexity()
        for (loss, tokens) in zip(losses, tokens) {
            guard let loss = loss.double, let tokens = tokens.int else { return nil }
            figures.append(loss: loss, tokens: tokens)
        }
        self.init(figures: figures)
    }

    /// Sum of the losses, and scored tokens, of every sequence.
    var record: JSON {
        [
            "losses": .array(figures.sequences.map { JSON($0.loss) }),
            "tokens": .array(figures.sequences.map { JSON($0.tokens) }),
        ]
    }
}
