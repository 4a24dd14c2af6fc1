/// One of several ways to compress the same group.
public struct CompressionVariant: Sendable {
    public let compressor: any Compressor
    public let budget: Budget

    public init(_ compressor: any Compressor, budget: Budget) {
        self.compressor = compressor
        self.budget = budget
    }
}

extension Compressor {
    public static func compress(
        _ group: [CompressionTask], variants: [CompressionVariant],
        receive: (_ variant: Int, [CompressionOutcome]) throws -> Void
    ) throws {
        try compressOneByOne(group, variants, receive: receive)
    }

    /// Every variant by itself: for methods, groups and budgets that have nothing in common.
    public static func compressOneByOne(
        _ group: [CompressionTask], _ variants: [CompressionVariant],
        receive: (_ variant: Int, [CompressionOutcome]) throws -> Void
    ) throws {
        for (index, variant) in variants.enumerated() {
            try receive(index, try variant.compressor.compress(group, budget: variant.budget))
        }
    }
}
