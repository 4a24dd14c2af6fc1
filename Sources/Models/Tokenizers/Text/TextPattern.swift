/// A regular expression of the small dialect in which tokenizer files write their splitting and replacing rules.
///
/// Understood are literals, `[…]` and `[^…]`, `\p{…}` of general categories, `\s \S \d \D \w \W`, groups `(?:…)`,
/// case-insensitive groups `(?i:…)`, alternatives, the greedy quantifiers `? * + {m} {m,n}` (on groups only `?`), the
/// possessive `?+ *+ ++`, lookahead `(?=…)`, `(?!…)`, and the ends of the text `\A`, `\z`. Anything else is refused
/// when the pattern is read, with its position: a pattern that is half understood would split text wrongly.
///
/// - Method: backtracking over a graph of nodes, first alternative first, as Oniguruma and the other engines that the
///   tokenizer libraries use. The first byte of the rest selects the alternatives worth trying.
/// - Cost: linear in the text for every pattern in use: their repetitions back off over one class at most.
struct TextPattern: Sendable {
    /// One step of the match; `next` is the step after it.
    struct Node: Sendable {
        enum Kind: Sendable {
            /// `minimum…maximum` members of set `set`, as many as possible.
            case repetition
            /// As `repetition`, but never giving back what it took.
            case possessiveRepetition
            /// One of `branches`, in order.
            case choice
            /// The node `set` matches (or does not match) here; takes nothing.
            case lookahead, negativeLookahead
            case textStart, textEnd
            case accept
        }

        var kind: Kind
        var set = 0
        var minimum = 0
        var maximum = 0
        var next = 0
        /// Positions in `branches` for a choice; its row of `branchesByFirstByte` follows `table`.
        var branches = 0..<0
        var table = 0
    }

    /// The text of the rule, for messages.
    let source: String
    private(set) var nodes: [Node] = [Node(kind: .accept)]
    private(set) var sets: [ScalarSet] = []
    /// Entry nodes of all alternatives.
    private var branches: [Int] = []
    /// For each choice 256 masks: bit b is set where alternative b can start with that byte.
    private var branchesByFirstByte: [UInt64] = []
    private var start = 0
    /// Bytes a match can start with; elsewhere none is tried.
    private var firstBytes = [Bool](repeating: true, count: 256)

    /// - Throws: `TextPatternError` naming the construct that is not understood.
    init(_ source: String) throws(TextPatternError) {
        self.source = source
        var parser = TextPatternParser(source)
        try compile(parser.parse())
    }

    /// The pattern that matches exactly `literal`.
    init(literal: String) throws(TextPatternError) {
        source = literal
        try compile(.sequence(literal.unicodeScalars.map { .set(ScalarSet(scalar: $0.value)) }))
    }

    /// Runs of word characters, and of signs: what is neither word character nor white space.
    static let wordsAndSigns = TextPattern(
        runsOf: [
            .rustWord,
            ScalarSet(
                classes: ScalarClass.rustWord | ScalarClass.whiteSpace, ranges: ScalarSet.rustWord.ranges,
                isNegated: true),
        ])

    /// The pattern that matches runs of any of the sets.
    private init(runsOf sets: [ScalarSet]) {
        source = ""
        let entries = sets.map { addRepetition(of: $0, 1...Int.max, isPossessive: false, next: 0) }
        enter(at: addChoice(entries))
    }

    /// Calls `body` with the range of each match, left to right, none overlapping and none empty.
    func forEachMatch(in text: UTF8Bytes, _ body: (Range<Int>) -> Void) {
        nodes.withUnsafeBufferPointer { nodes in
            sets.withUnsafeBufferPointer { sets in
                branches.withUnsafeBufferPointer { branches in
                    branchesByFirstByte.withUnsafeBufferPointer { table in
                        firstBytes.withUnsafeBufferPointer { firstBytes in
                            let matcher = TextPatternMatcher(
                                nodes: nodes, sets: sets, branches: branches, branchesByFirstByte: table, text: text)
                            matcher.forEachMatch(from: start, firstBytes: firstBytes, body)
                        }
                    }
                }
            }
        }
    }
}

/// A construct that `TextPattern` does not understand.
struct TextPatternError: Error, Equatable {
    let construct: String
    /// Scalars from the start of the pattern.
    let offset: Int
}

// MARK: - Compiling

/// What a pattern says, before it becomes a graph.
indirect enum TextPatternSyntax {
    case set(ScalarSet)
    case sequence([TextPatternSyntax])
    case choice([TextPatternSyntax])
    case repetition(TextPatternSyntax, minimum: Int, maximum: Int, isPossessive: Bool)
    case lookahead(TextPatternSyntax, isNegative: Bool)
    case textStart, textEnd
}

extension TextPattern {
    private mutating func compile(_ syntax: TextPatternSyntax) throws(TextPatternError) {
        enter(at: try node(for: syntax, next: 0))
    }

    private mutating func enter(at node: Int) {
        start = node
        firstBytes = bytesThatStart(node)
    }

    /// Adds the nodes of `syntax`, followed by node `next`.
    /// - Returns: the node to enter at.
    private mutating func node(for syntax: TextPatternSyntax, next: Int) throws(TextPatternError) -> Int {
        switch syntax {
        case .set(let set):
            return addRepetition(of: set, 1...1, isPossessive: false, next: next)
        case .sequence(let parts):
            var entry = next
            for part in parts.reversed() { entry = try node(for: part, next: entry) }
            return entry
        case .choice(let alternatives):
            var entries: [Int] = []
            for alternative in alternatives { try entries.append(node(for: alternative, next: next)) }
            guard entries.count <= 64 else { throw TextPatternError(construct: "more than 64 alternatives", offset: 0) }
            return addChoice(entries)
        case .repetition(.set(let set), let minimum, let maximum, let isPossessive):
            return addRepetition(of: set, minimum...maximum, isPossessive: isPossessive, next: next)
        case .repetition(let group, 0, 1, false):
            return addChoice([try node(for: group, next: next), next])
        case .repetition:
            throw TextPatternError(construct: "a repeated group", offset: 0)
        case .lookahead(let condition, let isNegative):
            let inner = try node(for: condition, next: 0)
            return add(Node(kind: isNegative ? .negativeLookahead : .lookahead, set: inner, next: next))
        case .textStart:
            return add(Node(kind: .textStart, next: next))
        case .textEnd:
            return add(Node(kind: .textEnd, next: next))
        }
    }

    private mutating func add(_ node: Node) -> Int {
        nodes.append(node)
        return nodes.count - 1
    }

    private mutating func addRepetition(
        of set: ScalarSet, _ counts: ClosedRange<Int>, isPossessive: Bool, next: Int
    ) -> Int {
        sets.append(set)
        var node = Node(kind: isPossessive ? .possessiveRepetition : .repetition, set: sets.count - 1, next: next)
        node.minimum = counts.lowerBound
        node.maximum = counts.upperBound
        return add(node)
    }

    /// At most 64 entries, so that a mask of them is one word.
    private mutating func addChoice(_ entries: [Int]) -> Int {
        var masks = [UInt64](repeating: 0, count: 256)
        for (branch, entry) in entries.enumerated() {
            for (byte, canStart) in bytesThatStart(entry).enumerated() where canStart {
                masks[byte] |= 1 << UInt64(branch)
            }
        }
        var node = Node(kind: .choice)
        node.branches = branches.count..<branches.count + entries.count
        node.table = branchesByFirstByte.count
        branches += entries
        branchesByFirstByte += masks
        return add(node)
    }

    /// Which bytes can stand where a match of `index` begins; never misses one.
    private func bytesThatStart(_ index: Int) -> [Bool] {
        let node = nodes[index]
        switch node.kind {
        case .repetition, .possessiveRepetition:
            let set = sets[node.set]
            let own = (0..<256).map { $0 < 0x80 ? set.contains(ascii: UInt8($0)) : set.reachesBeyondASCII }
            guard node.minimum == 0 else { return own }
            return zip(own, bytesThatStart(node.next)).map { $0 || $1 }
        case .choice:
            return node.branches.reduce(into: [Bool](repeating: false, count: 256)) { union, branch in
                union = zip(union, bytesThatStart(branches[branch])).map { $0 || $1 }
            }
        case .lookahead, .negativeLookahead, .textStart:
            return bytesThatStart(node.next)
        case .textEnd, .accept:
            return [Bool](repeating: true, count: 256)
        }
    }
}
