/// A long word while it is merged: its tokens as a linked list, and the applicable rules in a heap.
///
/// The heap holds (rank, position) of pairs and is never searched: a pair that has changed since leaves a stale entry,
/// which is recognised by its rank when it comes up.
struct MergeList {
    private var ids: [Int32]
    /// Positions of the neighbours; `none` at the ends. A merge keeps the left position and unlinks the right one.
    private var next: [UInt32]
    private var previous: [UInt32]
    /// Rank of the pair that starts at each position; `MergeTable.noRank` where no rule applies.
    private var ranks: [UInt32]
    /// Binary heap of rank << 32 | position, smallest first: equal ranks come up left to right.
    private var heap: [UInt64] = []

    private static let none = UInt32.max

    init(_ tokens: [Int32], rules: MergeTable) {
        let count = tokens.count
        precondition(count < Int(Self.none), "a word of more than 4 billion characters")
        ids = tokens
        next = (0..<count).map { $0 + 1 < count ? UInt32($0 + 1) : Self.none }
        previous = (0..<count).map { $0 > 0 ? UInt32($0 - 1) : Self.none }
        ranks = [UInt32](repeating: MergeTable.noRank, count: count)
        heap.reserveCapacity(count)
        for position in 0..<max(0, count - 1) {
            let rank = rules.merge(ids[position], ids[position + 1]).rank
            ranks[position] = rank
            if rank != MergeTable.noRank { heap.append(Self.entry(rank, position)) }
        }
        for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(from: index) }
    }

    /// Merges until no rule applies and appends what is left to `output`.
    mutating func mergeAll(rules: MergeTable, into output: inout [Int32]) {
        while let entry = popSmallest() {
            let position = Int(entry & 0xFFFF_FFFF)
            guard ranks[position] == UInt32(entry >> 32) else { continue }
            mergePair(at: position, rules: rules)
        }
        var position: UInt32 = ids.isEmpty ? Self.none : 0
        while position != Self.none {
            output.append(ids[Int(position)])
            position = next[Int(position)]
        }
    }

    private mutating func mergePair(at position: Int, rules: MergeTable) {
        let right = Int(next[position])
        ids[position] = rules.merge(ids[position], ids[right]).id
        ranks[right] = MergeTable.noRank
        next[position] = next[right]
        if next[position] != Self.none { previous[Int(next[position])] = UInt32(position) }
        updateRank(at: position, rules: rules)
        if previous[position] != Self.none { updateRank(at: Int(previous[position]), rules: rules) }
    }

    private mutating func updateRank(at position: Int, rules: MergeTable) {
        let rank =
            next[position] == Self.none
            ? MergeTable.noRank : rules.merge(ids[position], ids[Int(next[position])]).rank
        ranks[position] = rank
        if rank != MergeTable.noRank { push(Self.entry(rank, position)) }
    }

    // MARK: - Heap

    private static func entry(_ rank: UInt32, _ position: Int) -> UInt64 {
        UInt64(rank) << 32 | UInt64(UInt32(truncatingIfNeeded: position))
    }

    private mutating func push(_ entry: UInt64) {
        heap.append(entry)
        var index = heap.count - 1
        while index > 0, heap[(index - 1) / 2] > heap[index] {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func popSmallest() -> UInt64? {
        guard let smallest = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            siftDown(from: 0)
        }
        return smallest
    }

    private mutating func siftDown(from start: Int) {
        var index = start
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && heap[child] < heap[smallest] {
                smallest = child
            }
            guard smallest != index else { return }
            heap.swapAt(index, smallest)
            index = smallest
        }
    }
}
