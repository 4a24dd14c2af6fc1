import Planning

/// What to look at.
public struct DiagnoseRequest: Sendable {
    public var checkpoint: String
    public var selection = ModuleSelection()
    /// A statistics file of `calibrate`: ranks are then those of what the layers really do with their inputs, too.
    public var statistics: String?
    /// Text to calibrate on for that, where there is no such file.
    public var text: SequenceSource?
    /// The kept share of parameters at which forms are compared.
    public var keep = 0.5

    public init(checkpoint: String) {
        self.checkpoint = checkpoint
    }
}
