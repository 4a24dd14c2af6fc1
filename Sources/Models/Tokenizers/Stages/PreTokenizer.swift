/// Divides normalised text into words, which the model then encodes one by one.
///
/// Each kind is one of the `tokenizers` library, by the name it has in `tokenizer.json`. Words are handed on as they
/// are found, so that nothing but the text itself is in memory.
indirect enum PreTokenizer: Sendable {
    enum PrependScheme: String, Sendable {
        case always, first, never
    }

    case sequence([PreTokenizer])
    /// Divides by `pattern` (none: not at all) after putting a space in front where asked for and none is there.
    case byteLevel(pattern: TextPattern?, addsPrefixSpace: Bool)
    case split(TextSplit<TextPattern>)
    case punctuation(SplitBehavior)
    case whiteSpace
    case bert
    /// Spaces become `mark`, which is also put in front; then divides before each mark, where asked to.
    case metaspace(mark: [UInt8], PrependScheme, splitsAt: TextPattern?)

    /// The pattern that GPT-2's byte-level pre-tokenizer divides by.
    static let gpt2Pattern =
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    /// Calls `body` with each word of `text`.
    ///
    /// - Parameter isStart: whether `text` is where the whole text begins.
    func forEachWord(in text: UTF8Bytes, isStart: Bool, _ body: (UTF8Bytes) -> Void) {
        switch self {
        case .sequence(let stages):
            Self.run(stages[...], over: text, isStart: isStart, body)
        case .byteLevel(let pattern, let addsPrefixSpace):
            Self.byteLevel(text, pattern, addsPrefixSpace: addsPrefixSpace, body)
        case .split(let split):
            split.forEachPiece(of: text, body)
        case .punctuation(let behavior):
            TextSplit(separators: ScalarSeparators.punctuation, behavior: behavior).forEachPiece(of: text, body)
        case .whiteSpace:
            TextSplit(separators: ScalarSeparators.whiteSpace, behavior: .removed).forEachPiece(of: text, body)
        case .bert:
            TextSplit(separators: ScalarSeparators.whiteSpace, behavior: .removed).forEachPiece(of: text) { word in
                TextSplit(separators: ScalarSeparators.punctuation, behavior: .isolated).forEachPiece(of: word, body)
            }
        case .metaspace(let mark, let scheme, let pattern):
            let prepends = scheme == .always || scheme == .first && isStart
            Self.metaspace(text, mark, prepends: prepends, splitsAt: pattern, body)
        }
    }

    /// Each stage divides the words of the one before it.
    private static func run(
        _ stages: ArraySlice<PreTokenizer>, over text: UTF8Bytes, isStart: Bool, _ body: (UTF8Bytes) -> Void
    ) {
        guard let first = stages.first else { return body(text) }
        var isFirst = isStart
        first.forEachWord(in: text, isStart: isStart) { word in
            run(stages.dropFirst(), over: word, isStart: isFirst, body)
            isFirst = false
        }
    }

    private static func byteLevel(
        _ text: UTF8Bytes, _ pattern: TextPattern?, addsPrefixSpace: Bool, _ body: (UTF8Bytes) -> Void
    ) {
        if addsPrefixSpace, let first = text.first, first != 0x20 {
            ([0x20] + text).withUnsafeBufferPointer { byteLevel($0, pattern, addsPrefixSpace: false, body) }
        } else if let pattern {
            TextSplit(separators: pattern, behavior: .isolated).forEachPiece(of: text, body)
        } else if !text.isEmpty {
            body(text)
        }
    }

    private static func metaspace(
        _ text: UTF8Bytes, _ mark: [UInt8], prepends: Bool, splitsAt pattern: TextPattern?, _ body: (UTF8Bytes) -> Void
    ) {
        guard !text.isEmpty else { return }
        var marked: [UInt8] = []
        marked.reserveCapacity(text.count + text.count / 2)
        for byte in text {
            if byte == 0x20 { marked += mark } else { marked.append(byte) }
        }
        if prepends, !marked.starts(with: mark) { marked = mark + marked }
        marked.withUnsafeBufferPointer { marked in
            guard let pattern else { return body(marked) }
            TextSplit(separators: pattern, behavior: .mergedWithNext).forEachPiece(of: marked, body)
        }
    }
}
