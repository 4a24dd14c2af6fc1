import Models
import Statistics

/// Everything a calibration is asked to do, before the checkpoint is opened.
public struct CalibrationRequest: Sendable {
    public var checkpoint: String
    public var source: SequenceSource
    /// The statistics file to write.
    public var output: String
    /// In which type moments are stored; nil for that of the file added to, or f64.
    public var precision: StatisticsHeader.Precision?
    /// Adds to the output where it exists.
    public var appends = false
    /// Whether gradients are looked at too.
    public var gradients = Gradients.auto
    /// Memory for moments; nil for half of what the machine has.
    public var memoryBytes: Int?
    public var force = false
    public var resume = false

    /// The way back through the model costs four times what the moments of inputs do.
    public enum Gradients: String, Sendable, CaseIterable {
        /// Where one pass is enough for the sums of all layers.
        case auto
        case always
        case never
    }

    public init(checkpoint: String, source: SequenceSource, output: String) {
        self.checkpoint = checkpoint
        self.source = source
        self.output = output
    }

    /// What decides the bytes of the output beside its inputs, by name, for the journal.
    func options(precision: StatisticsHeader.Precision, memoryBytes: Int) -> [String: String] {
        let own = [
            "precision": precision.rawValue, "append": "\(appends)", "memory": "\(memoryBytes)",
            "gradients": gradients.rawValue,
        ]
        return own.merging(source.options.map { ($0.name, $0.value) }) { first, _ in first }
    }
}
