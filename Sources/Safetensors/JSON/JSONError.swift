/// Why a text is not a JSON document, and where.
public struct JSONError: Error, Equatable, Sendable {
    /// The rule that the text breaks.
    public enum Rule: Equatable, Sendable {
        /// The file cannot be read at all.
        case unreadable(FileError)
        case unexpectedEnd
        /// A byte that cannot stand here; `expected` says what could.
        case unexpectedByte(UInt8, expected: String)
        case invalidUTF8
        case invalidNumber
        case invalidEscape
        /// Half of a surrogate pair, which is not a character.
        case loneSurrogate
        /// A byte below 0x20 inside a string, not escaped.
        case controlCharacter(UInt8)
        case duplicateKey(String)
        case tooDeep(limit: Int)
        /// Something other than white space follows the value.
        case trailingContent
    }

    public let rule: Rule
    /// Bytes from the start of the text.
    public let offset: Int
    /// Line of the text, from 1.
    public let line: Int
    /// Bytes from the start of the line, from 1.
    public let column: Int
    /// The file, where one was read.
    public var file: String?
}

extension JSONError: CustomStringConvertible {
    public var description: String {
        if case .unreadable(let error) = rule { return error.description }
        let place = (file.map { "\($0): " } ?? "") + "line \(line), column \(column) (byte \(offset))"
        return "\(place): \(sentence)"
    }

    private var sentence: String {
        switch rule {
        case .unreadable(let error): error.description
        case .unexpectedEnd: "the text ends inside a value"
        case .unexpectedByte(let byte, let expected): "expected \(expected), found \(Self.name(of: byte))"
        case .invalidUTF8: "the text is not valid UTF-8"
        case .invalidNumber: "not a JSON number"
        case .invalidEscape: "not a JSON escape sequence"
        case .loneSurrogate: "\\u escape of half a surrogate pair"
        case .controlCharacter(let byte): "\(Self.name(of: byte)) must be escaped inside a string"
        case .duplicateKey(let key): "the key \"\(key)\" occurs twice in one object"
        case .tooDeep(let limit): "values are nested more than \(limit) deep"
        case .trailingContent: "the document goes on after its value"
        }
    }

    static func name(of byte: UInt8) -> String {
        if (0x21...0x7e).contains(byte) { return "'\(Character(Unicode.Scalar(byte)))'" }
        let digits = String(byte, radix: 16)
        return "byte 0x" + (byte < 16 ? "0" : "") + digits
    }
}
