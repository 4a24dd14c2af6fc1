import Safetensors

/// Text to token ids and back, by the files of a Hugging Face checkpoint.
///
/// ```swift
/// let tokenizer = try Tokenizer(checkpointFolder: "Llama-2-7b-hf")
/// let ids = tokenizer.encode("Once upon a time", addSpecialTokens: true)  // [1, 9038, 2501, 263, 931]
/// let text = tokenizer.decode(ids, skipSpecialTokens: true)
/// ```
///
/// The stages are those of the `tokenizers` library and give its ids: added tokens are cut out of the text, the rest
/// is normalised and divided into words, the model turns each word into tokens, and the post-processor puts special
/// tokens around all of it. Truncation and padding, which a file can ask for, are left to the caller.
///
/// - Cost: one pass; memory is the normalised text and the tokens. Text of one long word costs n log n.
public struct Tokenizer: Sendable {
    enum Model: Sendable {
        case bytePair(BytePairModel)
        case wordPiece(WordPieceModel)

        var table: TokenTable {
            switch self {
            case .bytePair(let model): model.table
            case .wordPiece(let model): model.table
            }
        }
    }

    var model: Model
    var normalizer: Normalizer?
    var preTokenizer: PreTokenizer?
    var decoder: TokenDecoder?
    /// Added tokens that are found in the text as given, and those that are found after normalisation.
    var rawFinder: AddedTokenFinder
    var normalizedFinder: AddedTokenFinder
    var addedTokens: [Int32: AddedToken]

    /// What the post-processor puts before and after every text.
    public internal(set) var leadingTokens: [Int32]
    public internal(set) var trailingTokens: [Int32]
    /// The token that begins a text: the one `tokenizer_config.json` names, else the only one that the post-processor
    /// puts in front; nil where neither says.
    public internal(set) var bosToken: Int32?
    /// The token that ends a text, where `tokenizer_config.json` names one.
    public internal(set) var eosToken: Int32?

    /// Whether the post-processor itself begins a text with `bosToken`.
    public var addsBOS: Bool { bosToken != nil && leadingTokens.first == bosToken }

    /// One more than the largest token id.
    public var vocabularySize: Int {
        max(model.table.idLimit, (addedTokens.keys.max().map { Int($0) + 1 }) ?? 0)
    }

    /// The token of these exact letters, added or of the model.
    public func id(of token: String) -> Int32? {
        addedTokens.values.first { $0.content.utf8.elementsEqual(token.utf8) }?.id ?? model.table.id(of: token)
    }

    // MARK: - Encoding

    /// The tokens of `text`.
    ///
    /// - Parameter addSpecialTokens: put `leadingTokens` and `trailingTokens` around them. Special tokens that are
    ///   written out in the text are recognised in either case.
    public func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
        var text = text
        var output = addSpecialTokens ? leadingTokens : []
        var cache = WordCache()
        text.withUTF8 { bytes in
            rawFinder.forEachSpan(in: bytes) { span in
                switch span {
                case .token(let id):
                    output.append(id)
                case .text(let range):
                    encodeRaw(
                        UTF8Scan.slice(bytes, range), isStart: range.lowerBound == 0, cache: &cache, into: &output)
                }
            }
        }
        if addSpecialTokens { output += trailingTokens }
        return output
    }

    /// Text between added tokens, before normalisation.
    private func encodeRaw(_ text: UTF8Bytes, isStart: Bool, cache: inout WordCache, into output: inout [Int32]) {
        if let normalizer {
            normalizer.normalize(Array(text)).withUnsafeBufferPointer {
                encodeNormalized($0, isStart: isStart, cache: &cache, into: &output)
            }
        } else {
            encodeNormalized(text, isStart: isStart, cache: &cache, into: &output)
        }
    }

    private func encodeNormalized(
        _ text: UTF8Bytes, isStart: Bool, cache: inout WordCache, into output: inout [Int32]
    ) {
        normalizedFinder.forEachSpan(in: text) { span in
            switch span {
            case .token(let id):
                output.append(id)
            case .text(let range):
                let part = UTF8Scan.slice(text, range)
                guard let preTokenizer else { return encodeWord(part, cache: &cache, into: &output) }
                preTokenizer.forEachWord(in: part, isStart: isStart && range.lowerBound == 0) {
                    encodeWord($0, cache: &cache, into: &output)
                }
            }
        }
    }

    private func encodeWord(_ word: UTF8Bytes, cache: inout WordCache, into output: inout [Int32]) {
        switch model {
        case .bytePair(let model): model.encode(word, cache: &cache, into: &output)
        case .wordPiece(let model): model.encode(word, cache: &cache, into: &output)
        }
    }

    // MARK: - Decoding

    /// The text of `ids`. Ids that are no token are left out; bytes that are no UTF-8 become U+FFFD.
    public func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
        let pieces = ids.compactMap { id -> [UInt8]? in
            guard let added = addedTokens[id] else { return model.table.bytes(of: id).map(Array.init) }
            return added.isSpecial && skipSpecialTokens ? nil : Array(added.content.utf8)
        }
        guard let decoder else { return Self.text(pieces.joined(separator: [0x20])) }
        return Self.text(decoder.decode(pieces).joined())
    }

    private static func text(_ bytes: some Sequence<UInt8>) -> String {
        String(decoding: Array(bytes), as: UTF8.self)
    }
}
