/// Which matrices a method compresses together.
public enum Grouping: Sendable, Equatable {
    /// Every matrix by itself.
    case single
    /// Query, key, value and output of one block, where all four have the same heads; others by themselves.
    case heads
    /// One projection of all the experts of a block; matrices that are no experts by themselves.
    case experts
    /// One projection over this many consecutive blocks; the last group may be smaller.
    case layers(Int)
}

/// How the outputs or the inputs of an attention projection divide into heads.
public struct HeadSplit: Sendable, Equatable {
    public enum Axis: Sendable, Equatable {
        /// Rows of W: query, key and value.
        case outputs
        /// Columns of W: the output projection.
        case inputs
    }

    public let count: Int
    public let axis: Axis

    public init(count: Int, axis: Axis) {
        self.count = count
        self.axis = axis
    }
}
