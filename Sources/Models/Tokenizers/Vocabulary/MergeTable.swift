/// The merge rules of byte-pair encoding: which two neighbouring tokens become which, and how early.
struct MergeTable: Sendable {
    struct Merge: Sendable {
        /// Position in the list of rules; the lowest of all pairs is merged first.
        var rank: UInt32
        var id: Int32
    }

    /// Stands for "not a rule": greater than every rank.
    static let noRank = UInt32.max

    private var keys: [UInt64]
    private var merges: [Merge]
    private(set) var count = 0

    private static let free = UInt64.max

    init(capacity: Int) {
        var size = 64
        while size < 2 * capacity { size *= 2 }
        keys = [UInt64](repeating: Self.free, count: size)
        merges = [Merge](repeating: Merge(rank: Self.noRank, id: -1), count: size)
    }

    /// Adds a rule; of two for the same pair the later one counts, as in the reference implementation.
    mutating func insert(_ left: Int32, _ right: Int32, _ merge: Merge) {
        precondition(2 * count < keys.count, "more rules than announced")
        let slot = slot(of: Self.key(left, right))
        if keys[slot] == Self.free { count += 1 }
        keys[slot] = Self.key(left, right)
        merges[slot] = merge
    }

    /// The rule for a pair; rank `noRank` where there is none.
    @inline(__always)
    func merge(_ left: Int32, _ right: Int32) -> Merge {
        merges[slot(of: Self.key(left, right))]
    }

    /// Where `key` lies, or would lie.
    @inline(__always)
    private func slot(of key: UInt64) -> Int {
        keys.withUnsafeBufferPointer { keys in
            var slot = Int(truncatingIfNeeded: ByteHash.mix(key)) & (keys.count &- 1)
            while keys[slot] != key, keys[slot] != Self.free { slot = (slot &+ 1) & (keys.count &- 1) }
            return slot
        }
    }

    @inline(__always)
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }
}
