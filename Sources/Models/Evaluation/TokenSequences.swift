import Foundation

/// The token sequences that a model is scored on or calibrated with, cut from text or given as ids.
///
/// - Source: the protocol of METHODS §8: windows of one long text without overlap, tail dropped, or documents between
///   separator lines, each stripped, begun with BOS and cut to the context. The first token of a sequence is not
///   scored.
public struct TokenSequences: Sendable {
    public let sequences: [[Int32]]

    /// How a text is divided.
    public enum Division: Sendable, Equatable {
        /// Windows of `context` tokens; what is left at the end is dropped.
        case windows
        /// Documents between lines equal to `separator`.
        case documents(separator: String)
    }

    /// Whether sequences begin with the token that begins a text.
    public enum BOSPolicy: String, Sendable, CaseIterable {
        /// Windows: once at the start where the tokenizer itself puts it; documents: each where the model has one.
        case auto
        case always
        case never
    }

    public struct Options: Sendable {
        /// Tokens that a sequence has at most.
        public var context: Int
        public var division = Division.windows
        public var bos = BOSPolicy.auto
        /// Only so many windows or documents.
        public var samples: Int?
        /// Whether each sequence stands between the tokens that the tokenizer puts around a text, as encoders want it.
        public var isSurrounded = false

        public init(context: Int, division: Division = .windows, bos: BOSPolicy = .auto, samples: Int? = nil) {
            self.context = context
            self.division = division
            self.bos = bos
            self.samples = samples
        }
    }

    /// Cuts a text.
    /// - Throws: `.noBOS`, `.tooShort`.
    public init(text: String, _ tokenizer: Tokenizer, _ options: Options) throws(TokenSequenceError) {
        if options.isSurrounded && options.bos != .never {
            try self.init(surroundedPartsOf: text, tokenizer, options)
            return
        }
        if options.bos == .always && tokenizer.bosToken == nil { throw .noBOS }
        switch options.division {
        case .windows:
            let isBegun = options.bos == .always || options.bos == .auto && tokenizer.addsBOS
            let ids = Self.begun(isBegun ? tokenizer.bosToken : nil, tokenizer.encode(text, addSpecialTokens: false))
            try self.init(windowsOf: ids, options)
        case .documents(let separator):
            let bos = options.bos == .never ? nil : tokenizer.bosToken
            let documents = Self.documents(of: text, separator: separator)
            let ids = documents.lazy.map { Self.begun(bos, tokenizer.encode($0, addSpecialTokens: false)) }
            try self.init(documents: ids, options)
        }
    }

    /// Cuts ids that are one text, or takes lists of ids as documents.
    /// - Parameter bos: the token that begins a text; only used where the policy is `always`.
    public init(ids: TokenFile, bos: Int32?, _ options: Options) throws(TokenSequenceError) {
        if options.bos == .always && bos == nil { throw .noBOS }
        let start = options.bos == .always ? bos : nil
        switch ids {
        case .text(let ids): try self.init(windowsOf: Self.begun(start, ids), options)
        case .documents(let documents): try self.init(documents: documents.lazy.map { Self.begun(start, $0) }, options)
        }
    }

    /// Windows or documents, each between the tokenizer's own tokens. A text shorter than a window is a window.
    private init(
        surroundedPartsOf text: String, _ tokenizer: Tokenizer, _ options: Options
    ) throws(TokenSequenceError) {
        let room = options.context - tokenizer.leadingTokens.count - tokenizer.trailingTokens.count
        guard room > 0 else { throw .tooShort(tokens: 0, context: options.context) }
        let parts: [[Int32]]
        switch options.division {
        case .windows:
            let ids = tokenizer.encode(text, addSpecialTokens: false)
            parts = stride(from: 0, to: ids.count, by: room).map { Array(ids[$0..<min($0 + room, ids.count)]) }
        case .documents(let separator):
            parts = Self.documents(of: text, separator: separator).map {
                Array(tokenizer.encode($0, addSpecialTokens: false).prefix(room))
            }
        }
        try self.init(
            documents: parts.lazy.map { tokenizer.leadingTokens + $0 + tokenizer.trailingTokens }, options)
    }

    private init(windowsOf ids: [Int32], _ options: Options) throws(TokenSequenceError) {
        let count = min(ids.count / options.context, options.samples ?? .max)
        guard count > 0, options.context > 1 else { throw .tooShort(tokens: ids.count, context: options.context) }
        sequences = (0..<count).map { Array(ids[$0 * options.context..<($0 + 1) * options.context]) }
    }

    /// Documents without a token to score are left out.
    private init(documents: some Sequence<[Int32]>, _ options: Options) throws(TokenSequenceError) {
        let cut = documents.lazy.map { Array($0.prefix(options.context)) }.filter { $0.count > 1 }
        sequences = Array(cut.prefix(options.samples ?? .max))
        if sequences.isEmpty { throw .tooShort(tokens: 0, context: 2) }
    }

    private static func begun(_ bos: Int32?, _ ids: [Int32]) -> [Int32] {
        bos.map { [$0] + ids } ?? ids
    }

    /// The parts between separator lines, without white space at their ends; empty ones are left out.
    static func documents(of text: String, separator: String) -> [String] {
        var documents: [String] = []
        var lines: [Substring] = []
        func finish() {
            let document = lines.joined(separator: "\n").trimmingCharacters(in: .whitespacesAndNewlines)
            if !document.isEmpty { documents.append(document) }
            lines.removeAll(keepingCapacity: true)
        }
        // By scalar: a carriage return before a line feed would hide the line end from characters.
        for line in text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false) {
            let line = Substring(line)
            if line.unicodeScalars.elementsEqual(separator.unicodeScalars) { finish() } else { lines.append(line) }
        }
        finish()
        return documents
    }

    /// Tokens that are scored: all but the first of each sequence.
    public var scored: [Int32] { sequences.flatMap { $0.dropFirst() } }
}

/// Why no sequence can be cut.
public enum TokenSequenceError: Error, Equatable, Sendable {
    /// Fewer tokens than one window.
    case tooShort(tokens: Int, context: Int)
    /// BOS is asked for, and the model has none.
    case noBOS
    case notTokens(file: String, reason: String)
}

extension TokenSequenceError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooShort(let tokens, let context):
            "\(tokens) tokens are fewer than one window of \(context); give more text or a shorter --context"
        case .noBOS:
            "the tokenizer names no token that begins a text; --bos auto or never goes without"
        case .notTokens(let file, let reason):
            // What comes of reading a file names it already.
            reason.hasPrefix("\(file):") ? reason : "\(file): \(reason)"
        }
    }
}
