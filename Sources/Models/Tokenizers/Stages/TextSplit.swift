/// What becomes of the separators when text is divided at them.
enum SplitBehavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
}

/// Finds the places where a text is divided.
protocol SeparatorFinder {
    /// Calls `body` with the range of each separator, left to right.
    func forEachSeparator(in text: UTF8Bytes, _ body: (Range<Int>) -> Void)
}

extension TextPattern: SeparatorFinder {
    func forEachSeparator(in text: UTF8Bytes, _ body: (Range<Int>) -> Void) {
        forEachMatch(in: text, body)
    }
}

/// Every scalar with a property is a separator.
struct ScalarSeparators: SeparatorFinder, Sendable {
    private let isSeparator: @Sendable (Unicode.Scalar) -> Bool
    /// The answers for ASCII, which is most text.
    private let ascii: [Bool]

    init(_ isSeparator: @escaping @Sendable (Unicode.Scalar) -> Bool) {
        self.isSeparator = isSeparator
        ascii = (UInt8(0)..<128).map { isSeparator(Unicode.Scalar($0)) }
    }

    static let whiteSpace = ScalarSeparators { $0.properties.isWhitespace }
    static let punctuation = ScalarSeparators { BertText.isPunctuation($0) }

    func forEachSeparator(in text: UTF8Bytes, _ body: (Range<Int>) -> Void) {
        UTF8Scan.forEachScalar(in: text) { value, range in
            if value < 0x80 {
                if ascii[Int(value)] { body(range) }
            } else if let scalar = Unicode.Scalar(value), isSeparator(scalar) {
                body(range)
            }
        }
    }
}

/// A way to divide text at separators. What is empty is left out.
struct TextSplit<Finder: SeparatorFinder & Sendable>: Sendable {
    let separators: Finder
    let behavior: SplitBehavior
    /// What lies between the found ranges is taken for the separators.
    var isInverted = false

    /// Calls `body` with each piece, in order.
    func forEachPiece(of text: UTF8Bytes, _ body: (UTF8Bytes) -> Void) {
        switch behavior {
        case .isolated:
            forEachSpan(of: text) { range, _ in body(UTF8Scan.slice(text, range)) }
        case .removed:
            forEachSpan(of: text) { range, isSeparator in
                if isSeparator == isInverted { body(UTF8Scan.slice(text, range)) }
            }
        case .contiguous, .mergedWithPrevious, .mergedWithNext:
            var spans: [Span] = []
            forEachSpan(of: text) { spans.append(Span(range: $0, isSeparator: $1 != isInverted)) }
            for range in merged(spans) { body(UTF8Scan.slice(text, range)) }
        }
    }

    private struct Span {
        var range: Range<Int>
        var isSeparator: Bool
    }

    /// Everything, as an alternation of separators and what is between them.
    private func forEachSpan(of text: UTF8Bytes, _ body: (_ range: Range<Int>, _ isSeparator: Bool) -> Void) {
        var rest = 0
        separators.forEachSeparator(in: text) { range in
            if rest < range.lowerBound { body(rest..<range.lowerBound, false) }
            body(range, true)
            rest = range.upperBound
        }
        if rest < text.count { body(rest..<text.count, false) }
    }

    private func merged(_ spans: [Span]) -> [Range<Int>] {
        var pieces: [Range<Int>] = []
        var wasSeparator: Bool?
        for span in behavior == .mergedWithNext ? spans.reversed() : spans {
            let joins =
                behavior == .contiguous
                ? wasSeparator == span.isSeparator
                // A separator joins its neighbour, but of several in a row only the first.
                : span.isSeparator && wasSeparator == false
            if joins, let last = pieces.last {
                pieces[pieces.count - 1] =
                    min(last.lowerBound, span.range.lowerBound)..<max(last.upperBound, span.range.upperBound)
            } else {
                pieces.append(span.range)
            }
            wasSeparator = span.isSeparator
        }
        return behavior == .mergedWithNext ? pieces.reversed() : pieces
    }
}
