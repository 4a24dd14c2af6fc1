/// One of several parts into which a compression is divided: part `index` of `count`, counted from 1.
public struct Shard: Equatable, Hashable, Sendable {
    public let index: Int
    public let count: Int

    /// Far above any number of machines, so that a slip of the finger is an error.
    public static let largestCount = 10_000

    /// nil unless 1 ≤ index ≤ count.
    public init?(index: Int, of count: Int) {
        guard (1...Self.largestCount).contains(count), (1...count).contains(index) else { return nil }
        self.index = index
        self.count = count
    }

    /// `2/8`.
    public init?(_ text: String) {
        let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { part in
            part.allSatisfy(\.isASCII) && part.allSatisfy(\.isNumber) ? Int(part) : nil
        }
        guard numbers.count == 2, let index = numbers[0], let count = numbers[1] else { return nil }
        self.init(index: index, of: count)
    }
}

extension Shard: CustomStringConvertible {
    public var description: String { "\(index)/\(count)" }
}
