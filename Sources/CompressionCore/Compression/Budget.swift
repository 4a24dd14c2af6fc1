/// How much of a matrix, or of a group of matrices, a compressor may keep.
public enum Budget: Sendable, Equatable {
    /// At most this fraction of the dense parameters of the group.
    case keep(Double)
    /// At most this rank, or this rank on every bond of a tensor network.
    case rank(Int)
    /// The smallest form that keeps this share of Σσ².
    case energy(Double)
    /// The smallest form whose relative error is at most this.
    case error(Double)
    /// The form that the method's own options state, for instance a number of branches.
    case options

    /// Whether the size follows from the shape alone, before any weight is read.
    public var isKnownFromShape: Bool {
        switch self {
        case .keep, .rank, .options: true
        case .energy, .error: false
        }
    }
}
