/// Turns tokens back into text.
///
/// Each kind is one of the `tokenizers` library, by the name it has in `tokenizer.json`: a step that rewrites the list
/// of tokens. The text is what the last step leaves, joined.
indirect enum TokenDecoder: Sendable {
    typealias Piece = [UInt8]

    case sequence([TokenDecoder])
    case byteLevel
    /// Runs of `<0x0A>` become the text they spell, or a replacement character each where that is not UTF-8.
    case byteFallback
    case fuse
    case strip(content: Piece, start: Int, stop: Int)
    case replace(TextPattern, by: Piece)
    case wordPiece(prefix: Piece, cleansUp: Bool)
    case metaspace(mark: Piece, dropsFirst: Bool)
    case endOfWord(suffix: Piece)

    func decode(_ pieces: [Piece]) -> [Piece] {
        switch self {
        case .sequence(let steps):
            return steps.reduce(pieces) { $1.decode($0) }
        case .byteLevel:
            return [Self.repaired(pieces.flatMap(ByteAlphabet.decode))]
        case .byteFallback:
            return Self.spellingBytes(pieces)
        case .fuse:
            return [Array(pieces.joined())]
        case .strip(let content, let start, let stop):
            return pieces.map { Self.stripping($0, content, start: start, stop: stop) }
        case .replace(let pattern, let replacement):
            return pieces.map { Normalizer.replace(pattern, by: replacement).normalize($0) }
        case .wordPiece(let prefix, let cleansUp):
            return Self.joiningWords(pieces, prefix: prefix, cleansUp: cleansUp)
        case .metaspace(let mark, let dropsFirst):
            return pieces.enumerated().map { index, piece in
                Self.replacing(mark, by: index == 0 && dropsFirst ? [] : [0x20], in: piece)
            }
        case .endOfWord(let suffix):
            return pieces.enumerated().map { index, piece in
                Self.replacing(suffix, by: index == pieces.count - 1 ? [] : [0x20], in: piece)
            }
        }
    }

    /// Bytes as text: what is not UTF-8 becomes U+FFFD, one for each maximal part of a character.
    static func repaired(_ bytes: Piece) -> Piece {
        Array(String(decoding: bytes, as: UTF8.self).utf8)
    }

    private static func spellingBytes(_ pieces: [Piece]) -> [Piece] {
        var result: [Piece] = []
        var bytes: Piece = []
        func flush() {
            if String(validating: bytes, as: UTF8.self) != nil {
                if !bytes.isEmpty { result.append(bytes) }
            } else {
                result += [Piece](repeating: Array("\u{FFFD}".utf8), count: bytes.count)
            }
            bytes.removeAll()
        }
        for piece in pieces {
            if let byte = byte(spelledBy: piece) {
                bytes.append(byte)
            } else {
                flush()
                result.append(piece)
            }
        }
        flush()
        return result
    }

    /// The byte of `<0x0A>`; nil for any other token.
    private static func byte(spelledBy piece: Piece) -> UInt8? {
        guard piece.count == 6, piece.starts(with: "<0x".utf8), piece[5] == UInt8(ascii: ">") else { return nil }
        return UInt8(String(decoding: piece[3..<5], as: UTF8.self), radix: 16)
    }

    /// Takes up to `start` and `stop` times `content` from the two ends.
    private static func stripping(_ piece: Piece, _ content: Piece, start: Int, stop: Int) -> Piece {
        var rest = piece[...]
        for _ in 0..<start where rest.starts(with: content) { rest = rest.dropFirst(content.count) }
        for _ in 0..<stop where rest.suffix(content.count).elementsEqual(content) {
            rest = rest.dropLast(content.count)
        }
        return Array(rest)
    }

    private static func joiningWords(_ pieces: [Piece], prefix: Piece, cleansUp: Bool) -> [Piece] {
        pieces.enumerated().map { index, piece in
            var piece = piece
            if index > 0 {
                piece = piece.starts(with: prefix) ? Array(piece.dropFirst(prefix.count)) : [0x20] + piece
            }
            guard cleansUp else { return piece }
            return contractions.reduce(piece) { replacing($1.from, by: $1.to, in: $0) }
        }
    }

    /// What the library's clean-up of English spacing replaces, in its order.
    private static let contractions: [(from: Piece, to: Piece)] = [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
        (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ].map { (from: Array($0.0.utf8), to: Array($0.1.utf8)) }

    private static func replacing(_ part: Piece, by replacement: Piece, in piece: Piece) -> Piece {
        guard !part.isEmpty, piece.count >= part.count else { return piece }
        var result: Piece = []
        var position = 0
        while position < piece.count {
            if piece[position...].starts(with: part) {
                result += replacement
                position += part.count
            } else {
                result.append(piece[position])
                position += 1
            }
        }
        return result
    }
}
