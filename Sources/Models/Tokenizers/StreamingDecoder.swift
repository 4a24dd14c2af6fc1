/// Text of tokens that arrive one at a time.
///
/// ```swift
/// var stream = StreamingDecoder(tokenizer, skipSpecialTokens: true)
/// for id in generated { print(stream.append(id), terminator: "") }
/// print(stream.finish())
/// ```
///
/// A token can end inside a character, and what a token says can depend on the one before it (a space that is only
/// dropped at the start). So the tokens since the last written one are decoded together with those of the text before,
/// and what is new is handed out as soon as it does not end inside a character. All parts together are the text that
/// `Tokenizer.decode` gives, except that bytes that are no UTF-8 are repaired where they are handed out.
public struct StreamingDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipsSpecialTokens: Bool
    /// Tokens already handed out that the next ones are decoded with; its text is `contextText`.
    private var context: [Int32] = []
    private var contextText: [UInt8] = []
    /// Tokens that are not handed out yet.
    private var pending: [Int32] = []

    /// A character takes at most four tokens of one byte; what is still broken after twice as many is broken for good.
    private static let mostPending = 8

    public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool) {
        self.tokenizer = tokenizer
        skipsSpecialTokens = skipSpecialTokens
    }

    /// The text that `id` completes; empty while a character is incomplete.
    public mutating func append(_ id: Int32) -> String {
        pending.append(id)
        let text = decode(context + pending)
        let endsInside = text.suffix(3).elementsEqual("\u{FFFD}".utf8)
        guard !endsInside || pending.count >= Self.mostPending else { return "" }
        return handOut(text)
    }

    /// The rest: an incomplete character as U+FFFD.
    public mutating func finish() -> String {
        pending.isEmpty ? "" : handOut(decode(context + pending))
    }

    /// The part of `text` beyond the context; the pending tokens become the context.
    private mutating func handOut(_ text: [UInt8]) -> String {
        let isLonger = text.starts(with: contextText)
        let new = isLonger ? Array(text[contextText.count...]) : []
        if !new.isEmpty {
            context = pending
            contextText = decode(context)
            pending.removeAll()
        }
        return String(decoding: new, as: UTF8.self)
    }

    private func decode(_ ids: [Int32]) -> [UInt8] {
        Array(tokenizer.decode(ids, skipSpecialTokens: skipsSpecialTokens).utf8)
    }
}
