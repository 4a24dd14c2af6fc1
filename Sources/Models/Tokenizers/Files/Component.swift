import Safetensors

/// A part of a tokenizer file together with its place in it, so that every complaint says where.
struct Component {
    let json: JSON
    /// For example "pre_tokenizer.pretokenizers[0]"; empty for the whole file.
    let place: String

    /// The component's kind: its "type".
    func type() throws(TokenizerError) -> String { try string("type") }

    /// A member; nil where it is missing or null.
    subscript(key: String) -> Component? {
        guard let value = json[key], !value.isNull else { return nil }
        return Component(json: value, place: place.isEmpty ? key : "\(place).\(key)")
    }

    func member(_ key: String) throws(TokenizerError) -> Component {
        guard let member = self[key] else { throw .malformed(place: placeOrFile, problem: "no \"\(key)\"") }
        return member
    }

    func string(_ key: String) throws(TokenizerError) -> String {
        let member = try member(key)
        guard let string = member.json.string else { throw member.malformed("expected a string") }
        return string
    }

    func bytes(_ key: String) throws(TokenizerError) -> [UInt8] {
        try Array(string(key).utf8)
    }

    func bool(_ key: String, default standard: Bool) throws(TokenizerError) -> Bool {
        guard let member = self[key] else { return standard }
        guard let bool = member.json.bool else { throw member.malformed("expected true or false") }
        return bool
    }

    func int(_ key: String) throws(TokenizerError) -> Int {
        let member = try member(key)
        guard let int = member.json.int else { throw member.malformed("expected an integer") }
        return int
    }

    func tokenID(_ key: String) throws(TokenizerError) -> Int32 {
        try member(key).tokenID()
    }

    /// This value as a token id.
    func tokenID() throws(TokenizerError) -> Int32 {
        guard let id = json.int, (0..<Self.idLimit).contains(id) else {
            throw malformed("expected a token id below \(Self.idLimit)")
        }
        return Int32(id)
    }

    /// Far more than any vocabulary has; tables are as long as the largest id.
    private static let idLimit = 1 << 24

    /// The elements of an array.
    func elements(_ key: String) throws(TokenizerError) -> [Component] {
        let member = try member(key)
        guard let array = member.json.array else { throw member.malformed("expected an array") }
        return array.enumerated().map { Component(json: $1, place: "\(member.place)[\($0)]") }
    }

    func object(_ key: String) throws(TokenizerError) -> JSONObject {
        let member = try member(key)
        guard let object = member.json.object else { throw member.malformed("expected an object") }
        return object
    }

    /// `{"String": literal}` or `{"Regex": expression}`.
    func pattern(_ key: String) throws(TokenizerError) -> TextPattern {
        let member = try member(key)
        do {
            if let literal = member.json["String"]?.string { return try TextPattern(literal: literal) }
            if let expression = member.json["Regex"]?.string { return try TextPattern(expression) }
        } catch {
            let source = member.json["Regex"]?.string ?? ""
            throw .unsupported(
                component: member.place, name: "\(error.construct) at character \(error.offset) of \"\(source)\"")
        }
        throw member.malformed("expected a \"String\" or a \"Regex\"")
    }

    /// One of the cases of an enumeration, by its name in the file.
    func choice<Choice: RawRepresentable<String>>(_ key: String) throws(TokenizerError) -> Choice {
        let name = try string(key)
        guard let choice = Choice(rawValue: name) else { throw try member(key).unsupported("\"\(name)\"") }
        return choice
    }

    func malformed(_ problem: String) -> TokenizerError { .malformed(place: placeOrFile, problem: problem) }

    func unsupported(_ name: String) -> TokenizerError { .unsupported(component: placeOrFile, name: name) }

    private var placeOrFile: String { place.isEmpty ? "tokenizer.json" : place }
}
