import MatrixCore

/// Reads a JSON document by RFC 8259, strictly.
///
/// Refused beyond the grammar: a key twice in one object, nesting deeper than `JSONParser.depthLimit`, text that is not
/// UTF-8, half surrogate pairs, a byte order mark, and anything but white space after the value. `NaN` and `Infinity`
/// are not JSON.
///
/// - Cost: one pass over the text to check its encoding, one to parse; about 100 MB/s on vocabularies.
extension JSON {
    public static func parse(_ text: String) throws(JSONError) -> JSON {
        let bytes = Array(text.utf8)
        return try bytes.withUnsafeBufferPointer { (bytes) throws(JSONError) in
            try parse(UnsafeRawBufferPointer(bytes))
        }
    }

    public static func parse(_ bytes: UnsafeRawBufferPointer) throws(JSONError) -> JSON {
        var parser = JSONParser(bytes)
        return try parser.document()
    }

    /// - Throws: `JSONError`, naming the file; its rule is `.unreadable` where the file cannot be read.
    public static func parse(file path: String) throws(JSONError) -> JSON {
        let bytes: AlignedBuffer<UInt8>
        do {
            bytes = try OpenFile.contents(of: path)
        } catch {
            throw JSONError(rule: .unreadable(error), offset: 0, line: 1, column: 1, file: path)
        }
        do {
            return try parse(UnsafeRawBufferPointer(start: bytes.base, count: bytes.count))
        } catch {
            var named = error
            named.file = path
            throw named
        }
    }
}

/// A cursor over the bytes of one document.
struct JSONParser {
    /// Deeper nesting is refused, so that a hostile text cannot exhaust the stack.
    static let depthLimit = 128

    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    private var depth = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    mutating func document() throws(JSONError) -> JSON {
        if let offset = firstInvalidUTF8(in: bytes) { throw error(.invalidUTF8, at: offset) }
        skipWhiteSpace()
        let value = try value()
        skipWhiteSpace()
        guard position == bytes.count else { throw error(.trailingContent) }
        return value
    }

    // MARK: Values

    private mutating func value() throws(JSONError) -> JSON {
        switch try peek() {
        case UInt8(ascii: "{"): return .object(try object())
        case UInt8(ascii: "["): return .array(try array())
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
        default: throw unexpected("a value")
        }
    }

    private mutating func object() throws(JSONError) -> JSONObject {
        try enter()
        var members = JSONObject()
        skipWhiteSpace()
        if try peek() == UInt8(ascii: "}") {
            leave()
            return members
        }
        while true {
            guard try peek() == UInt8(ascii: "\"") else { throw unexpected("a key in double quotes") }
            let keyOffset = position
            let key = try string()
            skipWhiteSpace()
            guard try peek() == UInt8(ascii: ":") else { throw unexpected("':'") }
            position += 1
            skipWhiteSpace()
            let value = try value()
            guard members.insert(key: key, value: value) else { throw error(.duplicateKey(key), at: keyOffset) }
            if try endsContainer(with: UInt8(ascii: "}"), expected: "',' or '}'") { return members }
        }
    }

    private mutating func array() throws(JSONError) -> [JSON] {
        try enter()
        var elements: [JSON] = []
        skipWhiteSpace()
        if try peek() == UInt8(ascii: "]") {
            leave()
            return elements
        }
        while true {
            elements.append(try value())
            if try endsContainer(with: UInt8(ascii: "]"), expected: "',' or ']'") { return elements }
        }
    }

    /// Steps over the opening bracket.
    private mutating func enter() throws(JSONError) {
        guard depth < Self.depthLimit else { throw error(.tooDeep(limit: Self.depthLimit)) }
        depth += 1
        position += 1
    }

    /// Steps over the closing bracket.
    private mutating func leave() {
        depth -= 1
        position += 1
    }

    /// Steps over a comma, or over the closing bracket and says so.
    private mutating func endsContainer(with bracket: UInt8, expected: String) throws(JSONError) -> Bool {
        skipWhiteSpace()
        let byte = try peek()
        if byte == bracket {
            leave()
            return true
        }
        guard byte == UInt8(ascii: ",") else { throw unexpected(expected) }
        position += 1
        skipWhiteSpace()
        return false
    }

    private mutating func literal(_ text: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        for index in 0..<text.utf8CodeUnitCount {
            guard try peek() == text.utf8Start[index] else { throw unexpected("\(text)") }
            position += 1
        }
        return value
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    private mutating func number() throws(JSONError) -> JSONNumber {
        let start = position
        skip(UInt8(ascii: "-"))
        if !skip(UInt8(ascii: "0")) {
            guard skipDigits() > 0 else { throw error(.invalidNumber, at: start) }
        } else if skipDigits() > 0 {
            throw error(.invalidNumber, at: start)
        }
        if skip(UInt8(ascii: ".")) {
            guard skipDigits() > 0 else { throw error(.invalidNumber, at: start) }
        }
        if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
            if !skip(UInt8(ascii: "+")) { skip(UInt8(ascii: "-")) }
            guard skipDigits() > 0 else { throw error(.invalidNumber, at: start) }
        }
        return JSONNumber(verified: String(decoding: bytes[start..<position], as: UTF8.self))
    }

    // MARK: Strings

    private mutating func string() throws(JSONError) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                return String(decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<(position - 1)]), as: UTF8.self)
            }
            if byte == UInt8(ascii: "\\") { return try stringWithEscapes(from: start) }
            if byte < 0x20 { throw error(.controlCharacter(byte)) }
            position += 1
        }
        throw error(.unexpectedEnd)
    }

    /// The rest of a string whose first escape stands at `position`.
    private mutating func stringWithEscapes(from start: Int) throws(JSONError) -> String {
        var text = [UInt8](bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                try escape(into: &text)
            case 0..<0x20:
                throw error(.controlCharacter(byte))
            default:
                text.append(byte)
                position += 1
            }
        }
        throw error(.unexpectedEnd)
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        let start = position
        position += 1
        let letter = try peek()
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(letter)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0c)
        case UInt8(ascii: "n"): text.append(0x0a)
        case UInt8(ascii: "r"): text.append(0x0d)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: UTF8.encode(try escapedScalar(from: start)) ?? .init())
        default: throw error(.invalidEscape, at: start)
        }
    }

    /// The character of `XXXX` or of a surrogate pair `XXXX\uXXXX`; `start` is where its backslash stands.
    private mutating func escapedScalar(from start: Int) throws(JSONError) -> Unicode.Scalar {
        let unit = try hexadecimalUnit(from: start)
        if let scalar = Unicode.Scalar(unit) { return scalar }
        guard (0xd800..<0xdc00).contains(unit), skip(UInt8(ascii: "\\")), skip(UInt8(ascii: "u")) else {
            throw error(.loneSurrogate, at: start)
        }
        let low = try hexadecimalUnit(from: start)
        guard (0xdc00..<0xe000).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00))
        else {
            throw error(.loneSurrogate, at: start)
        }
        return scalar
    }

    private mutating func hexadecimalUnit(from start: Int) throws(JSONError) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(try peek())).hexDigitValue else {
                throw error(.invalidEscape, at: start)
            }
            unit = unit << 4 + UInt32(digit)
            position += 1
        }
        return unit
    }

    // MARK: Bytes

    private func peek() throws(JSONError) -> UInt8 {
        guard position < bytes.count else { throw error(.unexpectedEnd) }
        return bytes[position]
    }

    private mutating func skipWhiteSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0a, 0x0d, 0x09: position += 1
            default: return
            }
        }
    }

    @discardableResult
    private mutating func skip(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
            position += 1
        }
        return position - start
    }

    private func unexpected(_ expected: String) -> JSONError {
        position < bytes.count ? error(.unexpectedByte(bytes[position], expected: expected)) : error(.unexpectedEnd)
    }

    private func error(_ rule: JSONError.Rule, at offset: Int? = nil) -> JSONError {
        let offset = offset ?? position
        let before = bytes[..<offset]
        let lineStart = before.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
        let line = before.reduce(1) { $1 == 0x0a ? $0 + 1 : $0 }
        return JSONError(rule: rule, offset: offset, line: line, column: offset - lineStart + 1, file: nil)
    }
}
