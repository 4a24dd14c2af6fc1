/// Tokens in both directions: the bytes of an id, and the id of bytes.
///
/// All tokens lie in one buffer and are found by open addressing: half a million strings as `Dictionary<String, Int32>`
/// take ten times as long to build, and `String` compares by canonical equivalence, while a vocabulary holds the
/// precomposed and the decomposed form of a letter as different tokens.
struct TokenTable: Sendable {
    /// Bytes of all tokens, one after another.
    private var bytes: [UInt8] = []
    /// Entry e is `bytes[starts[e]..<starts[e + 1]]` and has the id `ids[e]`.
    private var starts: [Int] = [0]
    private var ids: [Int32] = []
    /// Entries plus one by hash, 0 where free; a power of two of slots.
    private var slots: [Int32]
    /// The entry of each id plus one; 0 where the id has no token.
    private var entryOfID: [Int32] = []

    init(capacity: Int = 0) {
        var size = 64
        while size < 2 * capacity { size *= 2 }
        slots = [Int32](repeating: 0, count: size)
    }

    /// Number of tokens.
    var count: Int { ids.count }
    /// One more than the largest id.
    var idLimit: Int { entryOfID.count }

    /// Adds a token; false, and no change, where its bytes are there already.
    ///
    /// The first token of an id is the one that `bytes(of:)` gives.
    mutating func insert(_ token: [UInt8], id: Int32) -> Bool {
        let isNew = token.withUnsafeBufferPointer { self.id(of: $0) == nil }
        guard isNew else { return false }
        bytes += token
        starts.append(bytes.count)
        ids.append(id)
        while entryOfID.count <= Int(id) { entryOfID.append(0) }
        if entryOfID[Int(id)] == 0 { entryOfID[Int(id)] = Int32(ids.count) }
        if 2 * ids.count > slots.count {
            slots = [Int32](repeating: 0, count: 2 * slots.count)
            for entry in ids.indices { occupySlot(for: entry) }
        } else {
            occupySlot(for: ids.count - 1)
        }
        return true
    }

    func id(of token: UTF8Bytes) -> Int32? {
        slots.withUnsafeBufferPointer { slots in
            var slot = Self.slot(of: token, among: slots.count)
            while slots[slot] != 0 {
                let entry = Int(slots[slot]) - 1
                if isEntry(entry, equalTo: token) { return ids[entry] }
                slot = (slot &+ 1) & (slots.count &- 1)
            }
            return nil
        }
    }

    func id(of token: [UInt8]) -> Int32? {
        token.withUnsafeBufferPointer { id(of: $0) }
    }

    func id(of token: String) -> Int32? {
        id(of: Array(token.utf8))
    }

    /// The bytes of a token; nil for an id that has none.
    func bytes(of id: Int32) -> ArraySlice<UInt8>? {
        guard entryOfID.indices.contains(Int(id)), entryOfID[Int(id)] != 0 else { return nil }
        let entry = Int(entryOfID[Int(id)]) - 1
        return bytes[starts[entry]..<starts[entry + 1]]
    }

    /// Calls `body` with every token in the order of insertion.
    func forEach(_ body: (_ token: ArraySlice<UInt8>, _ id: Int32) -> Void) {
        for entry in ids.indices { body(bytes[starts[entry]..<starts[entry + 1]], ids[entry]) }
    }

    private func isEntry(_ entry: Int, equalTo token: UTF8Bytes) -> Bool {
        let start = starts[entry]
        guard starts[entry + 1] - start == token.count else { return false }
        return bytes.withUnsafeBufferPointer { bytes in
            for offset in 0..<token.count where bytes[start &+ offset] != token[offset] { return false }
            return true
        }
    }

    private mutating func occupySlot(for entry: Int) {
        var slot = bytes.withUnsafeBufferPointer {
            Self.slot(of: UTF8Scan.slice($0, starts[entry]..<starts[entry + 1]), among: slots.count)
        }
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(entry + 1)
    }

    private static func slot(of token: UTF8Bytes, among count: Int) -> Int {
        Int(truncatingIfNeeded: ByteHash.hash(token)) & (count &- 1)
    }
}

/// A fixed hash of bytes, well mixed in its low bits.
enum ByteHash {
    /// Source: the multiply-and-fold step of wyhash, eight bytes at a time.
    @inline(__always)
    static func hash(_ bytes: UTF8Bytes) -> UInt64 {
        var state = UInt64(truncatingIfNeeded: bytes.count) &* 0x9E37_79B9_7F4A_7C15
        let raw = UnsafeRawBufferPointer(bytes)
        var position = 0
        while position &+ 8 <= raw.count {
            state = mix(state ^ raw.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            position &+= 8
        }
        var rest: UInt64 = 0
        while position < raw.count {
            rest = rest << 8 | UInt64(raw[position])
            position &+= 1
        }
        return mix(state ^ rest)
    }

    @inline(__always)
    static func mix(_ value: UInt64) -> UInt64 {
        let product = (value ^ 0xA076_1D64_78BD_642F).multipliedFullWidth(by: 0xE703_7ED1_A0B4_28DB)
        return product.high ^ product.low
    }
}
