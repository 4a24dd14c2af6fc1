/// Which projections of a block take part in groups over blocks or experts; the others are compressed by themselves.
public enum GroupedProjections: String, Sendable, CaseIterable {
    /// Those that read the hidden state of the block: query, key, value, gate and up.
    case inputs
    /// Output and down projections too.
    case all
}
