/// The inner loop of `TextPattern`: its graph as bare pointers, and the text it runs over.
struct TextPatternMatcher {
    let nodes: UnsafeBufferPointer<TextPattern.Node>
    let sets: UnsafeBufferPointer<ScalarSet>
    let branches: UnsafeBufferPointer<Int>
    let branchesByFirstByte: UnsafeBufferPointer<UInt64>
    let text: UTF8Bytes

    private static let noMatch = -1

    func forEachMatch(from start: Int, firstBytes: UnsafeBufferPointer<Bool>, _ body: (Range<Int>) -> Void) {
        var position = 0
        while position < text.count {
            if firstBytes[Int(text[position])] {
                let end = match(start, at: position)
                if end > position {
                    body(position..<end)
                    position = end
                    continue
                }
            }
            position &+= UTF8Scan.length(lead: text[position])
        }
    }

    /// - Returns: where the match of node `index` from `position` on ends, or `noMatch`.
    private func match(_ index: Int, at position: Int) -> Int {
        let node = nodes[index]
        switch node.kind {
        case .repetition: return matchRepetition(node, at: position)
        case .possessiveRepetition: return matchPossessive(node, at: position)
        case .choice: return matchChoice(node, at: position)
        case .lookahead: return match(node.set, at: position) < 0 ? Self.noMatch : match(node.next, at: position)
        case .negativeLookahead:
            return match(node.set, at: position) < 0 ? match(node.next, at: position) : Self.noMatch
        case .textStart: return position == 0 ? match(node.next, at: position) : Self.noMatch
        case .textEnd: return position == text.count ? match(node.next, at: position) : Self.noMatch
        case .accept: return position
        }
    }

    @inline(__always)
    private func matchRepetition(_ node: TextPattern.Node, at position: Int) -> Int {
        var (end, count) = longestRun(of: node, from: position)
        guard count >= node.minimum else { return Self.noMatch }
        if nodes[node.next].kind == .accept { return end }
        while true {
            let result = match(node.next, at: end)
            if result >= 0 { return result }
            guard count > node.minimum else { return Self.noMatch }
            end = UTF8Scan.start(before: end, in: text)
            count &-= 1
        }
    }

    private func matchPossessive(_ node: TextPattern.Node, at position: Int) -> Int {
        let (end, count) = longestRun(of: node, from: position)
        return count >= node.minimum ? match(node.next, at: end) : Self.noMatch
    }

    @inline(__always)
    private func longestRun(of node: TextPattern.Node, from position: Int) -> (end: Int, count: Int) {
        var end = position, count = 0
        while count < node.maximum, let next = sets[node.set].advance(in: text, from: end) {
            end = next
            count &+= 1
        }
        return (end, count)
    }

    private func matchChoice(_ node: TextPattern.Node, at position: Int) -> Int {
        // At the end of the text there is no byte to choose by; only alternatives that can be empty are left.
        var candidates =
            position < text.count ? branchesByFirstByte[node.table &+ Int(text[position])] : UInt64.max
        while candidates != 0 {
            let branch = candidates.trailingZeroBitCount
            guard branch < node.branches.count else { break }
            let end = match(branches[node.branches.lowerBound &+ branch], at: position)
            if end >= 0 { return end }
            candidates &= candidates &- 1
        }
        return Self.noMatch
    }
}
