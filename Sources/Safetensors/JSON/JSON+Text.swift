/// Writes a JSON document; the same value gives the same bytes.
extension JSON {
    /// - Parameter pretty: two spaces a level and one member a line, as `json.dump(indent=2)` of Python writes it, with
    ///   a line feed at the end; else no white space at all.
    ///
    /// Characters outside of ASCII are written as they are; `"`, `\` and control characters are escaped.
    public func text(pretty: Bool) -> String {
        var output: [UInt8] = []
        append(to: &output, level: pretty ? 0 : nil)
        if pretty { output.append(0x0a) }
        return String(decoding: output, as: UTF8.self)
    }

    private func append(to output: inout [UInt8], level: Int?) {
        switch self {
        case .null: output.append(contentsOf: "null".utf8)
        case .bool(let value): output.append(contentsOf: (value ? "true" : "false").utf8)
        case .number(let value): output.append(contentsOf: value.text.utf8)
        case .string(let value): Self.appendQuoted(value, to: &output)
        case .array(let elements):
            Self.appendList(elements, in: ("[", "]"), to: &output, level: level) { element, output, level in
                element.append(to: &output, level: level)
            }
        case .object(let members):
            Self.appendList(members.entries, in: ("{", "}"), to: &output, level: level) { entry, output, level in
                Self.appendQuoted(entry.key, to: &output)
                output.append(contentsOf: (level == nil ? ":" : ": ").utf8)
                entry.value.append(to: &output, level: level)
            }
        }
    }

    /// - Parameter level: the depth of the list itself; nil for text without white space.
    private static func appendList<Item>(
        _ items: [Item], in brackets: (open: String, close: String), to output: inout [UInt8], level: Int?,
        write: (Item, inout [UInt8], Int?) -> Void
    ) {
        output.append(contentsOf: brackets.open.utf8)
        for (index, item) in items.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            if let level { appendLineStart(level: level + 1, to: &output) }
            write(item, &output, level.map { $0 + 1 })
        }
        if let level, !items.isEmpty { appendLineStart(level: level, to: &output) }
        output.append(contentsOf: brackets.close.utf8)
    }

    private static func appendLineStart(level: Int, to output: inout [UInt8]) {
        output.append(0x0a)
        output.append(contentsOf: repeatElement(0x20, count: 2 * level))
    }

    private static func appendQuoted(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case 0x08: output.append(contentsOf: "\\b".utf8)
            case 0x09: output.append(contentsOf: "\\t".utf8)
            case 0x0a: output.append(contentsOf: "\\n".utf8)
            case 0x0c: output.append(contentsOf: "\\f".utf8)
            case 0x0d: output.append(contentsOf: "\\r".utf8)
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                output.append(contentsOf: ("\\u00" + (byte < 16 ? "0" : "") + digits).utf8)
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
