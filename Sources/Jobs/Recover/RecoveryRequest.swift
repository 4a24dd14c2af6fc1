import Models

/// Everything a recovery is asked to do, before a checkpoint is opened.
public struct RecoveryRequest: Sendable {
    /// The compressed folder.
    public var checkpoint: String
    /// The dense model that it is to be like.
    public var reference: String
    public var source: SequenceSource
    public var output: String
    /// The last stage gains most, and what the first two gain before it, they gain for less memory.
    public var stages = [RecoveryStage.network]
    public var training = TrainingSettings()
    public var maximumShardBytes = CompressionRequest.defaultShardBytes
    public var force = false
    public var resume = false
    /// The words of the command line, for the report.
    public var commandLine: [String] = []

    public init(checkpoint: String, reference: String, source: SequenceSource, output: String) {
        self.checkpoint = checkpoint
        self.reference = reference
        self.source = source
        self.output = output
    }

    /// What decides the bytes of the output beside its inputs, by name, for journals and reports.
    var options: [(name: String, value: String)] {
        [
            ("stages", stages.map(\.rawValue).joined(separator: ",")), ("block-epochs", "\(training.blockEpochs)"),
            ("epochs", "\(training.epochs)"), ("rate", "\(training.rate)"),
            ("step-tokens", "\(training.tokensPerStep)"), ("held-out", "\(training.heldOutShare)"),
            ("seed", "\(training.seed)"), ("max-shard-size", "\(maximumShardBytes)"),
        ] + source.options
    }
}

/// The parts of a recovery, in their order.
public enum RecoveryStage: String, Sendable, CaseIterable {
    /// Each matrix by itself, by alternating least squares on what it reads inside the compressed network.
    case layers
    /// Each block by gradient descent towards the output of the dense block.
    case blocks
    /// All blocks together by gradient descent towards the predictions of the dense model.
    case network
}

/// How gradients are followed.
public struct TrainingSettings: Sendable {
    /// Times that a block sees the text.
    public var blockEpochs = 2
    /// Times that the whole network sees the text.
    public var epochs = 3
    /// Largest step of a number, in units of the root mean square of its tensor and of the root of the loss that is
    /// there at the start (at most 1), which says how far the numbers are from where they should be; a quarter of it
    /// for the whole network.
    public var rate = 0.04
    /// Tokens of whole sequences that a step is made from, at most, but for one longer sequence.
    public var tokensPerStep = 1024
    /// Share of the sequences that no step sees, to tell when to stop.
    public var heldOutShare = 0.1
    /// Epochs in a row without a lower held-out loss than the one before, after which a stage ends.
    public var patience = 2
    /// Of the order of sequences.
    public var seed: UInt64 = 0

    public init() {}
}
