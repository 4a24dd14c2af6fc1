import Foundation
import Safetensors

extension Tokenizer {
    /// The tokenizer of a checkpoint folder.
    ///
    /// Reads `tokenizer.json`; without one `vocab.json` and `merges.txt`, or `vocab.txt`, where the class that
    /// `tokenizer_config.json` names tells the other stages.
    ///
    /// - Throws: `TokenizerError.notFound` where there is nothing to read, else as
    ///   `init(tokenizerJSON:configuration:)`.
    public init(checkpointFolder folder: String) throws(TokenizerError) {
        let files = TokenizerFolder(path: folder)
        let configuration = try files.json("tokenizer_config.json")
        let json =
            if let json = try files.json("tokenizer.json") { json } else {
                try TokenizerClass(files, configuration: configuration).tokenizerJSON()
            }
        try self.init(tokenizerJSON: json, configuration: configuration)
    }
}

/// The files of a checkpoint folder that concern its tokenizer.
struct TokenizerFolder {
    let path: String

    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(of: name)) }

    /// The contents of a JSON file; nil where there is none.
    func json(_ name: String) throws(TokenizerError) -> JSON? {
        guard has(name) else { return nil }
        do {
            return try JSON.parse(file: path(of: name))
        } catch {
            throw .unreadable(reason: "\(error)")
        }
    }

    /// The lines of a text file, without their ends; an empty last one is left out.
    func lines(_ name: String) throws(TokenizerError) -> [String] {
        guard let data = FileManager.default.contents(atPath: path(of: name)) else {
            throw .unreadable(reason: "\(path(of: name)): cannot read")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw .malformed(place: path(of: name), problem: "the text is not UTF-8")
        }
        var lines = text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).map { line in
            String(decoding: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self)
        }
        if lines.last == "" { lines.removeLast() }
        return lines
    }

    private func path(of name: String) -> String { "\(path)/\(name)" }
}

/// A tokenizer that is described by its class and vocabulary files, as older checkpoints have it.
///
/// - Source: the converters of the transformers library, one for each class.
struct TokenizerClass {
    private let files: TokenizerFolder
    private let configuration: JSON
    /// "Qwen2Tokenizer"; the fast and the plain class are the same tokenizer.
    private let name: String

    static let qwen2Pattern =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"#
        + #"\s*[\r\n]+|\s+(?!\S)|\s+"#

    init(_ files: TokenizerFolder, configuration: JSON?) throws(TokenizerError) {
        let hasVocabulary = files.has("vocab.json") && files.has("merges.txt") || files.has("vocab.txt")
        guard hasVocabulary else {
            if files.has("tokenizer.model") {
                throw .unsupported(component: "\(files.path)/tokenizer.model", name: "a SentencePiece model")
            }
            throw .notFound(folder: files.path)
        }
        guard let configuration, let name = configuration["tokenizer_class"]?.string else {
            throw .malformed(
                place: "\(files.path)/tokenizer_config.json",
                problem: "no \"tokenizer_class\" to read the vocabulary by")
        }
        self.files = files
        self.configuration = configuration
        self.name = name.hasSuffix("Fast") ? String(name.dropLast("Fast".count)) : name
    }

    /// What `tokenizer.json` would hold.
    func tokenizerJSON() throws(TokenizerError) -> JSON {
        switch name {
        case "Qwen2Tokenizer":
            let split: JSON = [
                "type": "Split", "pattern": ["Regex": JSON(Self.qwen2Pattern)], "behavior": "Isolated", "invert": false,
            ]
            return try bytePair(
                normalizer: ["type": "NFC"],
                preTokenizer: ["type": "Sequence", "pretokenizers": [split, byteLevel(usesRegex: false)]])
        case "GPT2Tokenizer":
            return try bytePair(normalizer: .null, preTokenizer: byteLevel(usesRegex: true))
        case "GPTNeoXTokenizer":
            return try bytePair(normalizer: ["type": "NFC"], preTokenizer: byteLevel(usesRegex: true))
        case "BertTokenizer":
            return try wordPiece()
        default:
            throw .unsupported(component: "\(files.path)/tokenizer_config.json", name: "tokenizer_class \(name)")
        }
    }

    // MARK: - Byte-level byte-pair encoding

    private func byteLevel(usesRegex: Bool) -> JSON {
        [
            "type": "ByteLevel", "use_regex": JSON(usesRegex),
            "add_prefix_space": JSON(configuration["add_prefix_space"]?.bool ?? false),
        ]
    }

    private func bytePair(normalizer: JSON, preTokenizer: JSON) throws(TokenizerError) -> JSON {
        guard let vocabulary = try files.json("vocab.json") else { throw .notFound(folder: files.path) }
        let merges = try files.lines("merges.txt").filter { !$0.hasPrefix("#version") }
        return [
            "added_tokens": try addedTokens(vocabulary: vocabulary),
            "normalizer": normalizer,
            "pre_tokenizer": preTokenizer,
            "post_processor": template(
                before: configuration["add_bos_token"]?.bool == true ? "bos_token" : nil,
                after: configuration["add_eos_token"]?.bool == true ? "eos_token" : nil, vocabulary: vocabulary),
            "decoder": ["type": "ByteLevel"],
            "model": ["type": "BPE", "vocab": vocabulary, "merges": JSON(merges)],
        ]
    }

    // MARK: - WordPiece

    private func wordPiece() throws(TokenizerError) -> JSON {
        var members = JSONObject()
        for (id, token) in try files.lines("vocab.txt").enumerated() { members[token] = JSON(id) }
        let vocabulary = JSON.object(members)
        return [
            "added_tokens": try addedTokens(vocabulary: vocabulary),
            "normalizer": [
                "type": "BertNormalizer", "clean_text": true,
                "handle_chinese_chars": configuration["tokenize_chinese_chars"] ?? true,
                "strip_accents": configuration["strip_accents"] ?? .null,
                "lowercase": configuration["do_lower_case"] ?? true,
            ],
            "pre_tokenizer": ["type": "BertPreTokenizer"],
            "post_processor": template(before: "cls_token", after: "sep_token", vocabulary: vocabulary),
            "decoder": ["type": "WordPiece", "prefix": "##", "cleanup": true],
            "model": [
                "type": "WordPiece", "vocab": vocabulary, "unk_token": JSON(name(ofToken: "unk_token") ?? "[UNK]"),
                "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            ],
        ]
    }

    // MARK: - Special tokens

    private static let specialKeys = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]

    private func name(ofToken key: String) -> String? {
        configuration[key]?.string ?? configuration[key]?["content"]?.string
    }

    /// `added_tokens_decoder` of the configuration, or the older `added_tokens.json`, and the special tokens that are
    /// only named.
    private func addedTokens(vocabulary: JSON) throws(TokenizerError) -> JSON {
        var tokens: [(id: Int, json: JSON)] = []
        for (key, description) in configuration["added_tokens_decoder"]?.object?.entries ?? [] {
            guard let id = Int(key) else {
                throw .malformed(place: "tokenizer_config.json: added_tokens_decoder", problem: "\"\(key)\" is no id")
            }
            var token = description
            token["id"] = JSON(id)
            tokens.append((id, token))
        }
        let special = Self.specialKeys.compactMap(name(ofToken:))
            + (configuration["additional_special_tokens"]?.array ?? []).compactMap(\.string)
        if tokens.isEmpty, let older = try files.json("added_tokens.json")?.object {
            for (content, id) in older.entries {
                tokens.append((id.int ?? 0, plainToken(content, id, isSpecial: special.contains(content))))
            }
        }
        for content in special where !tokens.contains(where: { $0.json["content"]?.string == content }) {
            guard let id = vocabulary[content] else { continue }
            tokens.append((id.int ?? 0, plainToken(content, id, isSpecial: true)))
        }
        return .array(tokens.sorted { $0.id < $1.id }.map(\.json))
    }

    private func plainToken(_ content: String, _ id: JSON, isSpecial: Bool) -> JSON {
        ["id": id, "content": JSON(content), "special": JSON(isSpecial), "normalized": JSON(!isSpecial)]
    }

    /// The text between two special tokens, where they are given and known.
    private func template(before: String?, after: String?, vocabulary: JSON) -> JSON {
        var pieces: [JSON] = [["Sequence": ["id": "A"]]]
        var ids: JSON = [:]
        for (key, position) in [(after, 1), (before, 0)] {
            guard let token = key.flatMap(name(ofToken:)), let id = vocabulary[token] ?? addedID(of: token) else {
                continue
            }
            pieces.insert(["SpecialToken": ["id": JSON(token)]], at: position)
            ids[token] = ["ids": [id]]
        }
        return ["type": "TemplateProcessing", "single": .array(pieces), "special_tokens": ids]
    }

    private func addedID(of token: String) -> JSON? {
        let entries = configuration["added_tokens_decoder"]?.object?.entries ?? []
        return entries.first { $0.value["content"]?.string == token }.flatMap { Int($0.key) }.map { JSON($0) }
    }
}
