/// The tokens of words that were met before: most words of a text are.
///
/// Lives as long as one call of `encode`, so that a tokenizer stays a value without hidden state. It holds a bounded
/// number of short words; what does not fit is worked out again.
struct WordCache {
    private struct Entry {
        var hash: UInt64
        var key: Range<Int>
        var ids: Range<Int>
    }

    private var slots: [Int32] = []
    private var entries: [Entry] = []
    private var keys: [UInt8] = []
    private var ids: [Int32] = []

    private static let longestWordBytes = 64
    private static let mostEntries = 1 << 17

    /// Appends the tokens of a known word to `output`; false where the word is new.
    mutating func lookUp(_ word: UTF8Bytes, appendingTo output: inout [Int32]) -> Bool {
        guard !slots.isEmpty, word.count <= Self.longestWordBytes else { return false }
        let hash = ByteHash.hash(word)
        var slot = Int(truncatingIfNeeded: hash) & (slots.count &- 1)
        while slots[slot] != 0 {
            let entry = entries[Int(slots[slot]) &- 1]
            if entry.hash == hash, isKey(entry.key, equalTo: word) {
                for index in entry.ids { output.append(ids[index]) }
                return true
            }
            slot = (slot &+ 1) & (slots.count &- 1)
        }
        return false
    }

    mutating func remember(_ word: UTF8Bytes, tokens: ArraySlice<Int32>) {
        guard word.count <= Self.longestWordBytes, entries.count < Self.mostEntries else { return }
        let firstKey = keys.count, firstID = ids.count
        keys += word
        ids += tokens
        entries.append(
            Entry(hash: ByteHash.hash(word), key: firstKey..<keys.count, ids: firstID..<ids.count))
        if 2 * entries.count > slots.count {
            slots = [Int32](repeating: 0, count: max(256, 4 * slots.count))
            for index in entries.indices { occupySlot(for: index) }
        } else {
            occupySlot(for: entries.count - 1)
        }
    }

    private mutating func occupySlot(for index: Int) {
        var slot = Int(truncatingIfNeeded: entries[index].hash) & (slots.count - 1)
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(index + 1)
    }

    @inline(__always)
    private func isKey(_ key: Range<Int>, equalTo word: UTF8Bytes) -> Bool {
        guard key.count == word.count else { return false }
        for offset in 0..<word.count where keys[key.lowerBound &+ offset] != word[offset] { return false }
        return true
    }
}
