import MatrixCore

/// Several sequences that are read together, one below the other: all of a layer but attention treats their tokens
/// alike, so its products are large however short the sequences are.
public struct TokenBatch: Sendable {
    /// The rows of each sequence, which begins at position 0.
    public let sequences: [Range<Int>]
    public var tokens: Int { sequences.last?.upperBound ?? 0 }
    public var longest: Int { sequences.map(\.count).max() ?? 0 }

    public init(lengths: [Int]) {
        var start = 0
        sequences = lengths.map { length in
            defer { start += length }
            return start..<start + length
        }
    }
}
