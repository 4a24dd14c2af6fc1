/// A token that is found in the text before any other stage sees it, such as `<|endoftext|>`.
struct AddedToken: Sendable {
    var id: Int32
    var content: String
    /// Left out by `decode(_:skipSpecialTokens:)`.
    var isSpecial = false
    /// Found only where no word character is next to it.
    var isWholeWord = false
    /// Takes the white space on its left, or right, with it.
    var stripsLeft = false
    var stripsRight = false
    /// Looked for in normalised text, in its normalised form; else in the text as given.
    var isNormalized = false
}

/// Finds added tokens in text: the leftmost, and of those that start at one place the longest.
struct AddedTokenFinder: Sendable {
    /// A part of the text: an added token, or what lies between two.
    enum Span {
        case token(Int32)
        case text(Range<Int>)
    }

    private struct State: Sendable {
        /// States reached by one more byte; few, as a vocabulary has few added tokens.
        var children: [(byte: UInt8, state: Int)] = []
        /// Position in `tokens` of the token that ends here.
        var token: Int?
    }

    private var tokens: [AddedToken] = []
    private var states = [State()]
    private var canStart = [Bool](repeating: false, count: 256)

    /// - Parameter tokens: with the bytes each is written as; a later one of the same bytes replaces the earlier.
    init(_ tokens: [(token: AddedToken, bytes: [UInt8])]) {
        for (token, bytes) in tokens where !bytes.isEmpty {
            var state = 0
            for byte in bytes { state = child(of: state, byte) }
            self.tokens.append(token)
            states[state].token = self.tokens.count - 1
            canStart[Int(bytes[0])] = true
        }
    }

    var isEmpty: Bool { tokens.isEmpty }

    private mutating func child(of state: Int, _ byte: UInt8) -> Int {
        if let known = states[state].children.first(where: { $0.byte == byte }) { return known.state }
        states.append(State())
        states[state].children.append((byte, states.count - 1))
        return states.count - 1
    }

    /// Calls `body` with tokens and the text between them, in order; empty text is left out.
    func forEachSpan(in text: UTF8Bytes, _ body: (Span) -> Void) {
        var position = 0, rest = 0
        while position < text.count {
            guard canStart[Int(text[position])], let match = longestMatch(in: text, at: position) else {
                position += 1
                continue
            }
            let token = tokens[match.token]
            let range = position..<match.end
            position = match.end
            if token.isWholeWord, touchesWord(range, in: text) { continue }
            let start =
                token.stripsLeft ? max(rest, startOfSpace(before: range.lowerBound, in: text)) : range.lowerBound
            if rest < start { body(.text(rest..<start)) }
            body(.token(token.id))
            rest = token.stripsRight ? endOfSpace(after: range.upperBound, in: text) : range.upperBound
        }
        if rest < text.count { body(.text(rest..<text.count)) }
    }

    private func longestMatch(in text: UTF8Bytes, at start: Int) -> (token: Int, end: Int)? {
        var state = 0, position = start
        var longest: (token: Int, end: Int)?
        while position < text.count, let next = states[state].children.first(where: { $0.byte == text[position] }) {
            state = next.state
            position += 1
            if let token = states[state].token { longest = (token, position) }
        }
        return longest
    }

    private func touchesWord(_ range: Range<Int>, in text: UTF8Bytes) -> Bool {
        func isWord(at position: Int) -> Bool {
            ScalarSet.rustWord.isMember(UTF8Scan.scalar(in: text, at: position))
        }
        return range.lowerBound > 0 && isWord(at: UTF8Scan.start(before: range.lowerBound, in: text))
            || range.upperBound < text.count && isWord(at: range.upperBound)
    }

    private func startOfSpace(before position: Int, in text: UTF8Bytes) -> Int {
        var start = position
        while start > 0 {
            let previous = UTF8Scan.start(before: start, in: text)
            guard isSpace(at: previous, in: text) else { break }
            start = previous
        }
        return start
    }

    private func endOfSpace(after position: Int, in text: UTF8Bytes) -> Int {
        var end = position
        while end < text.count, isSpace(at: end, in: text) { end += UTF8Scan.length(lead: text[end]) }
        return end
    }

    private func isSpace(at position: Int, in text: UTF8Bytes) -> Bool {
        ScalarClass.whiteSpace & ScalarClass.mask(of: UTF8Scan.scalar(in: text, at: position)) != 0
    }
}
