/// The members of a JSON object in their order, found by key in constant time.
///
/// A small object is searched member by member; a larger one keeps an open-addressing table of positions. Keys are
/// compared by their UTF-8 bytes (see `JSON`), which is why this is not a `Dictionary`. The table is hashed with the
/// standard library's seeded hasher, so a hostile file cannot prepare collisions.
public struct JSONObject: Sendable {
    public typealias Entry = (key: String, value: JSON)

    /// The members in order.
    public private(set) var entries: [Entry] = []

    /// Positions in `entries` plus one, 0 where free; empty for a small object, else a power of two of slots.
    private var slots: [UInt32] = []

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

    private mutating func append(key: String, value: JSON) {
        entries.append((key, value))
        if entries.count <= Self.largestLinearSearch { return }
        if entries.count * 2 > slots.count {
            rebuildTable()
        } else {
            occupySlot(for: entries.count - 1)
        }
    }

    private func position(of key: String) -> Int? {
        if slots.isEmpty {
            return entries.firstIndex { $0.key.utf8.elementsEqual(key.utf8) }
        }
        var slot = Self.hash(key) & (slots.count - 1)
        while slots[slot] != 0 {
            let position = Int(slots[slot]) - 1
            if Self.sameBytes(entries[position].key, key) { return position }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    private mutating func rebuildTable() {
        guard entries.count > Self.largestLinearSearch else {
            slots = []
            return
        }
        var size = 4 * Self.largestLinearSearch
        while size < entries.count * 3 { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
        for position in entries.indices {
            occupySlot(for: position)
        }
    }

    private mutating func occupySlot(for position: Int) {
        var slot = Self.hash(entries[position].key) & (slots.count - 1)
        while slots[slot] != 0 {
            slot = (slot + 1) & (slots.count - 1)
        }
        slots[slot] = UInt32(position + 1)
    }

    private static func hash(_ key: String) -> Int {
        var key = key
        return key.withUTF8 { bytes in
            var hasher = Hasher()
            hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
            return hasher.finalize()
        }
    }

    private static func sameBytes(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && left.utf8.elementsEqual(right.utf8)
    }
}

extension JSONObject: Equatable {
    /// The same keys with the same values, in any order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.entries.allSatisfy { right[$0.key] == $0.value }
    }
}
