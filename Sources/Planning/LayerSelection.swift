/// Which transformer blocks to work on: `4-27`, `first:4`, `last:4`, `1,5,9`, or a mixture of ranges and numbers.
public enum LayerSelection: Sendable, Equatable {
    case ranges([ClosedRange<Int>])
    case first(Int)
    case last(Int)

    /// - Returns: nil if the text is none of the forms.
    public init?(_ text: String) {
        if let count = Self.count(text, after: "first:") {
            self = .first(count)
        } else if let count = Self.count(text, after: "last:") {
            self = .last(count)
        } else {
            let parts = text.split(separator: ",", omittingEmptySubsequences: false)
            let ranges = parts.compactMap(Self.range)
            guard ranges.count == parts.count else { return nil }
            self = .ranges(ranges)
        }
    }

    /// The blocks of a model with the given block numbers.
    /// - Throws: `PlanningError.layersMissing` if a block asked for does not exist.
    public func layers(among existing: Set<Int>) throws(PlanningError) -> Set<Int> {
        let ordered = existing.sorted()
        switch self {
        case .first(let count):
            guard count <= ordered.count else { throw .layersMissing("\(self)", count: ordered.count) }
            return Set(ordered.prefix(count))
        case .last(let count):
            guard count <= ordered.count else { throw .layersMissing("\(self)", count: ordered.count) }
            return Set(ordered.suffix(count))
        case .ranges(let ranges):
            for range in ranges where !range.allSatisfy(existing.contains) {
                throw .layersMissing("\(self)", count: ordered.count)
            }
            return Set(ranges.joined())
        }
    }

    private static func count(_ text: String, after prefix: String) -> Int? {
        guard text.hasPrefix(prefix), let count = Int(text.dropFirst(prefix.count)), count > 0 else { return nil }
        return count
    }

    private static func range(_ text: Substring) -> ClosedRange<Int>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard let first = ends.first.flatMap({ $0 }), first >= 0 else { return nil }
        if ends.count == 1 { return first...first }
        // Far above any model, so that a slip of the finger is an error and not a large set.
        guard ends.count == 2, let last = ends[1], last >= first, last < 100_000 else { return nil }
        return first...last
    }
}

extension LayerSelection: CustomStringConvertible {
    public var description: String {
        switch self {
        case .first(let count): "first:\(count)"
        case .last(let count): "last:\(count)"
        case .ranges(let ranges):
            ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
                .joined(separator: ",")
        }
    }
}
