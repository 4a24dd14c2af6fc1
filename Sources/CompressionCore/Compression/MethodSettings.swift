import LinearAlgebra

/// Everything that a user can say about how a method works; how much it keeps is the `Budget`.
public struct MethodSettings: Sendable {
    /// Whether redundant numbers of a factorisation are stored.
    public enum Storage: String, Sendable, CaseIterable {
        /// Plain factors.
        case factors
        /// Without the numbers that the choice of a basis leaves free: some rows are the basis.
        case pivot
    }

    public var storage: Storage
    /// How singular vectors are found.
    public var route: TruncatedSVD.Route
    /// Ranks are multiples of this where the budget allows one.
    public var rankMultiple: Int
    public var seed: UInt64
    /// Options that belong to one method, by their names on the command line, for example "tt-order".
    public var values: [String: String]

    public init(
        storage: Storage = .factors, route: TruncatedSVD.Route = .automatic, rankMultiple: Int = 1, seed: UInt64 = 0,
        values: [String: String] = [:]
    ) {
        self.storage = storage
        self.route = route
        self.rankMultiple = rankMultiple
        self.seed = seed
        self.values = values
    }

    /// A whole number, at least `least`; nil where the option is not given.
    public func integer(_ name: String, from least: Int = 1) throws(CompressionError) -> Int? {
        guard let text = values[name] else { return nil }
        guard let value = Int(text), value >= least else {
            throw .badOption(name: name, reason: "\"\(text)\" is no whole number from \(least)")
        }
        return value
    }

    /// A number within bounds, both included; nil where the option is not given.
    public func number(_ name: String, in range: ClosedRange<Double>) throws(CompressionError) -> Double? {
        guard let text = values[name] else { return nil }
        guard let value = Double(text), range.contains(value) else {
            throw .badOption(
                name: name, reason: "\"\(text)\" is no number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// Positive whole numbers separated by a character; nil where the option is not given.
    public func integers(_ name: String, separator: Character = ",") throws(CompressionError) -> [Int]? {
        guard let text = values[name] else { return nil }
        let parts = text.split(separator: separator, omittingEmptySubsequences: false)
        let numbers = parts.compactMap { Int($0) }
        guard numbers.count == parts.count, numbers.allSatisfy({ $0 > 0 }) else {
            throw .badOption(
                name: name, reason: "\"\(text)\" is no list of positive whole numbers separated by \"\(separator)\"")
        }
        return numbers
    }

    /// One of the raw values of an enumeration; nil where the option is not given.
    public func word<Word: RawRepresentable & CaseIterable>(
        _ name: String, _ type: Word.Type = Word.self
    ) throws(CompressionError) -> Word? where Word.RawValue == String {
        guard let text = values[name] else { return nil }
        guard let word = Word(rawValue: text) else {
            let words = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw .badOption(name: name, reason: "\"\(text)\" is none of \(words)")
        }
        return word
    }
}
