import CommandLineKit

/// What a result of a sweep must keep to, and how the best of those that do is found.
public enum SweepLimit: Sendable, Equatable {
    /// The best quality of at most this many bytes of tensors.
    case bytes(Int)
    /// The smallest of at most this perplexity.
    case perplexity(Double)
    /// The smallest of at most this relative error of the weights.
    case relativeError(Double)

    var text: String {
        switch self {
        case .bytes(let limit): "at most \(ByteCount.human(limit)) (\(ByteCount.exact(limit)))"
        case .perplexity(let limit): "perplexity at most \(Quantity.significant(limit, 6))"
        case .relativeError(let limit): "relative error of weights at most \(Quantity.significant(limit, 6))"
        }
    }

    /// Index of the best point that keeps to the limit; nil where none does.
    func recommended(_ record: SweepRecord) -> Int? {
        let points = record.points
        let quality = record.quality
        func least(_ fits: (SweepRecord.Point) -> Bool, _ cost: (SweepRecord.Point) -> Double) -> Int? {
            points.indices.filter { fits(points[$0]) }.min { cost(points[$0]) < cost(points[$1]) }
        }
        switch self {
        case .bytes(let limit): return least({ $0.bytes <= limit }, { quality.value($0) ?? .infinity })
        case .perplexity(let limit):
            return least({ ($0.perplexity ?? .infinity) <= limit }, { Double($0.bytes) })
        case .relativeError(let limit):
            return least({ ($0.relativeError ?? .infinity) <= limit }, { Double($0.bytes) })
        }
    }
}

extension SweepRecord {
    /// Where no limit is stated: a tenth more perplexity than the source has, if that is known and some point keeps to
    /// it, otherwise half of the source's bytes.
    var usualLimit: SweepLimit? {
        if let perplexity = sourcePerplexity {
            let limit = SweepLimit.perplexity(1.1 * perplexity)
            if limit.recommended(self) != nil { return limit }
        }
        return sourceBytes.map { .bytes($0 / 2) }
    }
}
