import Safetensors

extension Tokenizer {
    /// A tokenizer from the contents of `tokenizer.json` and, where there is one, of `tokenizer_config.json`.
    ///
    /// - Throws: `TokenizerError.unsupported` naming a component this program does not have, `.malformed` with the
    ///   place where the file breaks its own rules.
    public init(tokenizerJSON: JSON, configuration: JSON?) throws(TokenizerError) {
        let file = Component(json: tokenizerJSON, place: "")
        // A member that is missing or null leaves its stage out.
        var normalizer: Normalizer?
        if let component = file["normalizer"] { normalizer = try Normalizer(component) }
        var preTokenizer: PreTokenizer?
        if let component = file["pre_tokenizer"] { preTokenizer = try PreTokenizer(component) }
        var decoder: TokenDecoder?
        if let component = file["decoder"] { decoder = try TokenDecoder(component) }
        var template = TokenTemplate()
        if let component = file["post_processor"] { template = try TokenTemplate(component) }
        let model = try Model(file.member("model"), isByteLevel: preTokenizer?.isByteLevel ?? false)
        let added = try AddedToken.list(file, vocabulary: model.table)

        self.normalizer = normalizer
        self.preTokenizer = preTokenizer
        self.decoder = decoder
        self.model = model
        leadingTokens = template.leading
        trailingTokens = template.trailing
        addedTokens = Dictionary(added.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        rawFinder = AddedTokenFinder(
            added.filter { !$0.isNormalized }.map { ($0, Array($0.content.utf8)) })
        normalizedFinder = AddedTokenFinder(
            added.filter(\.isNormalized).map { token in
                let content = Array(token.content.utf8)
                return (token, normalizer?.normalize(content) ?? content)
            })
        bosToken = nil
        eosToken = nil
        readConfiguration(configuration)
    }

    private mutating func readConfiguration(_ configuration: JSON?) {
        bosToken = configuration.flatMap { token(named: "bos_token", in: $0) }
        eosToken = configuration.flatMap { token(named: "eos_token", in: $0) }
        if configuration?["bos_token"] == nil, leadingTokens.count == 1, trailingTokens.isEmpty {
            bosToken = leadingTokens.first
        }
    }

    /// The id of a special token that the configuration names, as a string or as `{"content": …}`.
    private func token(named key: String, in configuration: JSON) -> Int32? {
        (configuration[key]?.string ?? configuration[key]?["content"]?.string).flatMap { id(of: $0) }
    }
}

extension AddedToken {
    /// `"added_tokens"` of the file. A token that the model has too keeps the model's id, as in the library.
    static func list(_ file: Component, vocabulary: TokenTable) throws(TokenizerError) -> [AddedToken] {
        guard file["added_tokens"] != nil else { return [] }
        var tokens: [AddedToken] = []
        for component in try file.elements("added_tokens") {
            let content = try component.string("content")
            let known = vocabulary.id(of: content)
            let id = if let known { known } else { try component.tokenID("id") }
            try tokens.append(
                AddedToken(
                    id: id,
                    content: content,
                    isSpecial: component.bool("special", default: false),
                    isWholeWord: component.bool("single_word", default: false),
                    stripsLeft: component.bool("lstrip", default: false),
                    stripsRight: component.bool("rstrip", default: false),
                    isNormalized: component.bool("normalized", default: true)))
        }
        return tokens
    }
}
