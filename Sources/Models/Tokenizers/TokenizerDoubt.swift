/// A sign that a tokenizer is not the one that a model was trained with, although its ids fit.
///
/// None is a proof: vocabularies are padded, tokens are added and configurations written carelessly. So these are
/// warnings.
public enum TokenizerDoubt: Equatable, Sendable {
    /// Much of the model's vocabulary has no token.
    case fewTokens(Int, vocabulary: Int)
    /// config.json names the token as the beginning or the end of a text, and here it is nothing special.
    case plainToken(key: String, id: Int32, token: String?)
    /// Another folder, which should have the same tokenizer, has another token for an id.
    case otherToken(id: Int32, token: String, other: String, folder: String)
}

extension TokenizerDoubt: CustomStringConvertible {
    public var description: String {
        switch self {
        case .fewTokens(let tokens, let vocabulary):
            "the tokenizer has \(tokens) tokens and the model a vocabulary of \(vocabulary): is it the model's own?"
        case .plainToken(let key, let id, let token):
            "\(key) \(id) of config.json is "
                + (token.map { "the plain token \"\($0)\"" } ?? "no token")
                + " of the tokenizer: is it the model's own?"
        case .otherToken(let id, let token, let other, let folder):
            "token \(id) is \"\(token)\" here and \"\(other)\" in \(folder): the tokenizers are not the same"
        }
    }
}

extension Tokenizer {
    /// Padding of a vocabulary to a round number is below this share of it: 2.4 % in deepseek-llm-7b.
    private static let mostPadding = 0.1

    /// - Parameter vocabulary: rows of the model's embedding.
    public func doubts(of model: ModelDescription, vocabulary: Int) -> [TokenizerDoubt] {
        var doubts: [TokenizerDoubt] = []
        if Double(vocabularySize) < (1 - Self.mostPadding) * Double(vocabulary) {
            doubts.append(.fewTokens(vocabularySize, vocabulary: vocabulary))
        }
        // A file without special tokens says nothing about any.
        guard addedTokens.values.contains(where: \.isSpecial) else { return doubts }
        // Ids beyond the vocabulary are left over from another configuration.
        let beginnings = [model.bosToken].compactMap { $0 }.filter { Int($0) < vocabulary }
        let endings = model.eosTokens.filter { Int($0) < vocabulary }
        for (key, ids) in [("bos_token_id", beginnings), ("eos_token_id", endings)] {
            guard let id = ids.first, !ids.contains(where: isSpecial) else { continue }
            doubts.append(.plainToken(key: key, id: id, token: text(ofToken: id)))
        }
        return doubts
    }

    /// The first token that the tokenizer of another folder has too and writes otherwise.
    public func difference(from other: Tokenizer, in folder: String) -> TokenizerDoubt? {
        for id in 0..<Int32(min(vocabularySize, other.vocabularySize)) {
            guard let here = text(ofToken: id), let there = other.text(ofToken: id), here != there else { continue }
            return .otherToken(id: id, token: here, other: there, folder: folder)
        }
        return nil
    }

    private func isSpecial(_ id: Int32) -> Bool {
        addedTokens[id]?.isSpecial ?? false || id == bosToken || id == eosToken
    }

    /// The letters of a token as the file has them.
    private func text(ofToken id: Int32) -> String? {
        addedTokens[id]?.content ?? model.table.bytes(of: id).map { String(decoding: $0, as: UTF8.self) }
    }
}
