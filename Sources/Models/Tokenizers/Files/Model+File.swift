import Safetensors

// The model from its part of tokenizer.json.

extension Tokenizer.Model {
    /// - Parameter isByteLevel: words are written in the byte alphabet.
    init(_ component: Component, isByteLevel: Bool) throws(TokenizerError) {
        switch try Self.type(of: component) {
        case "BPE":
            self = .bytePair(try BytePairModel(component, isByteLevel: isByteLevel))
        case "WordPiece":
            if isByteLevel { throw component.unsupported("WordPiece behind a ByteLevel pre-tokenizer") }
            self = .wordPiece(try WordPieceModel(component))
        case let name:
            throw component.unsupported(name)
        }
    }

    /// Older files leave the type out; the members tell.
    private static func type(of component: Component) throws(TokenizerError) -> String {
        if component["type"] != nil { return try component.type() }
        if component["merges"] != nil { return "BPE" }
        if component["max_input_chars_per_word"] != nil { return "WordPiece" }
        throw component.malformed("no \"type\"")
    }
}

extension TokenTable {
    /// From `"vocab": {token: id}`.
    init(vocabularyOf component: Component) throws(TokenizerError) {
        let vocabulary = try component.object("vocab")
        self.init(capacity: vocabulary.count)
        for (token, id) in vocabulary.entries {
            let id = try Component(json: id, place: "\(component.place).vocab[\"\(token)\"]").tokenID()
            _ = insert(Array(token.utf8), id: id)
        }
    }
}

extension BytePairModel {
    init(_ component: Component, isByteLevel: Bool) throws(TokenizerError) {
        for setting in ["continuing_subword_prefix", "end_of_word_suffix"] {
            guard let affix = component[setting], affix.json.string != "" else { continue }
            throw component.unsupported(setting)
        }
        if let dropout = component["dropout"], dropout.json.double != 0 { throw component.unsupported("dropout") }

        table = try TokenTable(vocabularyOf: component)
        merges = try Self.readMerges(component, table)
        unknownToken = try component.unknownToken(in: table)
        fusesUnknown = try component.bool("fuse_unk", default: false)
        ignoresMerges = try component.bool("ignore_merges", default: false)
        if isByteLevel {
            byteTokens = ByteAlphabet.letters.map { table.id(of: String($0)) ?? -1 }
        } else {
            if try component.bool("byte_fallback", default: false) {
                fallbackTokens = (0..<256).map { byte in
                    let digits = String(byte, radix: 16, uppercase: true)
                    return table.id(of: "<0x\(byte < 16 ? "0" : "")\(digits)>") ?? -1
                }
            }
            let mark: UInt32 = 0x2581
            boundary = canCut(before: mark) ? mark : nil
        }
    }

    /// `"merges"`: in order, each `"left right"` or `["left", "right"]`.
    private static func readMerges(_ component: Component, _ table: TokenTable) throws(TokenizerError) -> MergeTable {
        let list = try component.member("merges")
        guard let rules = list.json.array else { throw list.malformed("expected an array") }
        var merges = MergeTable(capacity: rules.count)
        for (rank, rule) in rules.enumerated() {
            let place = Component(json: rule, place: "\(list.place)[\(rank)]")
            let (left, right) = try parts(of: place)
            guard let leftID = table.id(of: left), let rightID = table.id(of: right),
                let id = table.id(of: left + right)
            else {
                throw place.malformed("a part or the result is not in the vocabulary")
            }
            merges.insert(leftID, rightID, MergeTable.Merge(rank: UInt32(rank), id: id))
        }
        return merges
    }

    private static func parts(of rule: Component) throws(TokenizerError) -> (left: [UInt8], right: [UInt8]) {
        if let text = rule.json.string {
            let parts = Array(text.utf8).split(separator: 0x20, omittingEmptySubsequences: false)
            if parts.count == 2 { return (Array(parts[0]), Array(parts[1])) }
        } else if let pair = rule.json.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string {
            return (Array(left.utf8), Array(right.utf8))
        }
        throw rule.malformed("expected two tokens")
    }
}

extension WordPieceModel {
    init(_ component: Component) throws(TokenizerError) {
        table = try TokenTable(vocabularyOf: component)
        guard let unknown = try component.unknownToken(in: table) else { throw component.malformed("no \"unk_token\"") }
        unknownToken = unknown
        continuingPrefix = try component.bytes("continuing_subword_prefix")
        longestWord = try component.int("max_input_chars_per_word")
    }
}

extension Component {
    /// The id of the member "unk_token"; nil where it is null.
    fileprivate func unknownToken(in table: TokenTable) throws(TokenizerError) -> Int32? {
        guard let member = self["unk_token"] else { return nil }
        guard let name = member.json.string, let id = table.id(of: name) else {
            throw member.malformed("not a token of the vocabulary")
        }
        return id
    }
}
