/// The members of a JSON object in their order, found by key in constant time.
///
/// A small object is searched member by member; a larger one keeps a table of positions. Keys are compared by their
/// UTF-8 bytes (see `UTF8Key`).
public struct JSONObject: Sendable {
    public typealias Entry = (key: String, value: JSON)

    /// The members in order.
    public private(set) var entries: [Entry] = []

    /// Positions in `entries`; empty for a small object.
    private var positions: [UTF8Key: Int] = [:]

    /// Up to here a linear search is as fast as hashing.
    private static let largestLinearSearch = 8

    public init() {}

    /// The last value counts where a key is given twice.
    public init(_ entries: [Entry]) {
        for entry in entries {
            self[entry.key] = entry.value
        }
    }

    public var count: Int { entries.count }
    public var isEmpty: Bool { entries.isEmpty }
    public var keys: [String] { entries.map(\.key) }

    /// Setting the value of a key that exists keeps its position; a new key goes last; setting nil removes the key.
    ///
    /// - Cost: constant, except that a removal moves everything behind it.
    public subscript(key: String) -> JSON? {
        get { position(of: key).map { entries[$0].value } }
        set {
            switch (position(of: key), newValue) {
            case (let position?, let value?):
                entries[position].value = value
            case (nil, let value?):
                append(key: key, value: value)
            case (let position?, nil):
                entries.remove(at: position)
                rebuildTable()
            case (nil, nil):
                break
            }
        }
    }

    /// Adds a member; false, and no change, where the key exists already.
    mutating func insert(key: String, value: JSON) -> Bool {
        guard position(of: key) == nil else { return false }
        append(key: key, value: value)
        return true
    }

    private func position(of key: String) -> Int? {
        let key = UTF8Key(key)
        if positions.isEmpty { return entries.firstIndex { UTF8Key($0.key) == key } }
        return positions[key]
    }

    private mutating func append(key: String, value: JSON) {
        entries.append((key, value))
        if entries.count == Self.largestLinearSearch + 1 {
            rebuildTable()
        } else if entries.count > Self.largestLinearSearch {
            positions[UTF8Key(key)] = entries.count - 1
        }
    }

    private mutating func rebuildTable() {
        positions = [:]
        guard entries.count > Self.largestLinearSearch else { return }
        for (position, entry) in entries.enumerated() {
            positions[UTF8Key(entry.key)] = position
        }
    }
}

extension JSONObject: Equatable {
    /// The same keys with the same values, in any order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.entries.allSatisfy { right[$0.key] == $0.value }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// The last value counts where a key is given twice.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self.init(elements.map { (key: $0.0, value: $0.1) })
    }
}
