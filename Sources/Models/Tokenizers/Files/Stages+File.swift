import Safetensors

// Each stage from its part of tokenizer.json. A kind that is not listed is refused by its name.

extension Normalizer {
    init(_ component: Component) throws(TokenizerError) {
        switch try component.type() {
        case "Sequence":
            var steps: [Normalizer] = []
            for step in try component.elements("normalizers") { try steps.append(Normalizer(step)) }
            self = .sequence(steps)
        case "Lowercase":
            self = .lowercase
        case "StripAccents":
            self = .stripAccents
        case "Prepend":
            self = .prepend(try component.bytes("prepend"))
        case "Replace":
            self = .replace(try component.pattern("pattern"), by: try component.bytes("content"))
        case "Strip":
            self = .strip(
                left: try component.bool("strip_left", default: true),
                right: try component.bool("strip_right", default: true))
        case "BertNormalizer":
            let lowercases = try component.bool("lowercase", default: true)
            self = .bert(
                Bert(
                    cleansText: try component.bool("clean_text", default: true),
                    spacesIdeographs: try component.bool("handle_chinese_chars", default: true),
                    stripsAccents: try component.bool("strip_accents", default: lowercases),
                    lowercases: lowercases))
        case let name:
            guard let form = Form(rawValue: name) else { throw component.unsupported(name) }
            self = .unicode(form)
        }
    }
}

extension PreTokenizer {
    init(_ component: Component) throws(TokenizerError) {
        switch try component.type() {
        case "Sequence":
            var stages: [PreTokenizer] = []
            for stage in try component.elements("pretokenizers") {
                // Behind a byte-level stage others would see the byte alphabet; words here stay text.
                if stages.last?.isByteLevel == true { throw stage.unsupported("a stage behind ByteLevel") }
                try stages.append(PreTokenizer(stage))
            }
            self = .sequence(stages)
        case "ByteLevel":
            self = .byteLevel(
                pattern: try component.bool("use_regex", default: true)
                    ? Self.builtIn(Self.gpt2Pattern, for: component) : nil,
                addsPrefixSpace: try component.bool("add_prefix_space", default: true))
        case "Split":
            self = .split(
                TextSplit(
                    separators: try component.pattern("pattern"),
                    behavior: try component.choice("behavior"),
                    isInverted: try component.bool("invert", default: false)))
        case "Digits":
            let pattern = try component.bool("individual_digits", default: false) ? #"\p{N}"# : #"\p{N}+"#
            self = .split(TextSplit(separators: try Self.builtIn(pattern, for: component), behavior: .isolated))
        case "Whitespace":
            self = .split(TextSplit(separators: .wordsAndSigns, behavior: .removed, isInverted: true))
        case "WhitespaceSplit":
            self = .whiteSpace
        case "Punctuation":
            self = .punctuation(component["behavior"] == nil ? .isolated : try component.choice("behavior"))
        case "BertPreTokenizer":
            self = .bert
        case "Metaspace":
            self = try Self.metaspace(component)
        case let name:
            throw component.unsupported(name)
        }
    }

    /// Whether the words are written in the byte alphabet.
    var isByteLevel: Bool {
        switch self {
        case .byteLevel: true
        case .sequence(let stages): stages.last?.isByteLevel ?? false
        default: false
        }
    }

    private static func metaspace(_ component: Component) throws(TokenizerError) -> PreTokenizer {
        let mark = try component.string("replacement")
        let splits = try component.bool("split", default: true)
        return .metaspace(
            mark: Array(mark.utf8), try component.prependScheme(),
            splitsAt: splits ? try? TextPattern(literal: mark) : nil)
    }

    private static func builtIn(_ pattern: String, for component: Component) throws(TokenizerError) -> TextPattern {
        do {
            return try TextPattern(pattern)
        } catch {
            throw component.unsupported("\(error.construct) in \"\(pattern)\"")
        }
    }
}

extension TokenDecoder {
    init(_ component: Component) throws(TokenizerError) {
        switch try component.type() {
        case "Sequence":
            var steps: [TokenDecoder] = []
            for step in try component.elements("decoders") { try steps.append(TokenDecoder(step)) }
            self = .sequence(steps)
        case "ByteLevel":
            self = .byteLevel
        case "ByteFallback":
            self = .byteFallback
        case "Fuse":
            self = .fuse
        case "Strip":
            self = .strip(
                content: try component.bytes("content"), start: try component.int("start"),
                stop: try component.int("stop"))
        case "Replace":
            self = .replace(try component.pattern("pattern"), by: try component.bytes("content"))
        case "WordPiece":
            self = .wordPiece(
                prefix: try component.bytes("prefix"), cleansUp: try component.bool("cleanup", default: true))
        case "Metaspace":
            self = .metaspace(
                mark: try component.bytes("replacement"), dropsFirst: try component.prependScheme() != .never)
        case "BPEDecoder":
            self = .endOfWord(suffix: try component.bytes("suffix"))
        case let name:
            throw component.unsupported(name)
        }
    }
}

extension Component {
    /// Of a Metaspace component; older files say `add_prefix_space` instead.
    fileprivate func prependScheme() throws(TokenizerError) -> PreTokenizer.PrependScheme {
        if self["prepend_scheme"] != nil { return try choice("prepend_scheme") }
        return try bool("add_prefix_space", default: true) ? .always : .never
    }
}

/// The tokens that a post-processor puts around a text.
struct TokenTemplate {
    var leading: [Int32] = []
    var trailing: [Int32] = []

    init() {}

    init(_ component: Component) throws(TokenizerError) {
        switch try component.type() {
        case "ByteLevel":
            break  // Changes offsets only.
        case "Sequence":
            for processor in try component.elements("processors") {
                let outer = try TokenTemplate(processor)
                leading = outer.leading + leading
                trailing += outer.trailing
            }
        case "BertProcessing", "RobertaProcessing":
            leading = [try component.pairID("cls")]
            trailing = [try component.pairID("sep")]
        case "TemplateProcessing":
            try readTemplate(component)
        case let name:
            throw component.unsupported(name)
        }
    }

    private mutating func readTemplate(_ component: Component) throws(TokenizerError) {
        var sequences = 0
        for piece in try component.elements("single") {
            if piece["Sequence"] != nil {
                sequences += 1
                continue
            }
            let name = try piece.member("SpecialToken").string("id")
            let ids = try component.member("special_tokens").member(name).elements("ids")
            for id in ids {
                let id = try id.tokenID()
                if sequences == 0 { leading.append(id) } else { trailing.append(id) }
            }
        }
        guard sequences == 1 else {
            throw try component.member("single").unsupported("a template with \(sequences) times the text")
        }
    }
}

extension Component {
    /// The id of a member `["[CLS]", 101]`.
    fileprivate func pairID(_ key: String) throws(TokenizerError) -> Int32 {
        let pair = try elements(key)
        guard pair.count == 2 else { throw try member(key).malformed("expected a token and its id") }
        return try pair[1].tokenID()
    }
}
