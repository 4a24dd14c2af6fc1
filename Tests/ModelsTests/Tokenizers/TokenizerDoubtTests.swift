import Foundation
import Safetensors
import Testing

@testable import Models

/// Real configurations with their own tokenizers, and with others that fit.
@Suite(.enabled(if: TokenizerGoldens.hasData, "needs shared/data"))
struct TokenizerDoubtTests {
    private func doubts(_ config: String, _ tokenizer: String) throws -> [TokenizerDoubt] {
        let json = try JSON.parse(file: "\(TokenizerGoldens.data)/\(config)")
        let model = try ModelDescription(config: json, modelType: json["model_type"]?.string)
        return try TokenizerGoldens.tokenizer(tokenizer)
            .doubts(of: model, vocabulary: try #require(json["vocab_size"]?.int))
    }

    /// Padded vocabularies and added tokens are no reason for a warning.
    @Test(arguments: [
        ("configs/llama-2-7b.json", "llama-2"), ("configs/mixtral-8x7b.json", "llama-2"),
        ("configs/pythia-410m.json", "gptneox"), ("configs/qwen3-8b.json", "qwen3"),
        ("configs/bert-base-uncased.json", "bert"), ("stories260K/config.json", "stories260K"),
    ])
    func aModelsOwnTokenizerIsNotDoubted(config: String, tokenizer: String) throws {
        #expect(try doubts(config, tokenizer) == [])
    }

    @Test func anOtherTokenizerIsDoubted() throws {
        #expect(
            try doubts("configs/pythia-410m.json", "gpt2") == [
                .plainToken(key: "bos_token_id", id: 0, token: "!"),
                .plainToken(key: "eos_token_id", id: 0, token: "!"),
            ])
        #expect(
            try doubts("configs/llama-2-7b.json", "bert") == [
                .plainToken(key: "bos_token_id", id: 1, token: "[unused0]"),
                .plainToken(key: "eos_token_id", id: 2, token: "[unused1]"),
            ])
        #expect(try doubts("configs/llama-2-7b.json", "stories260K") == [.fewTokens(512, vocabulary: 32000)])
        let qwen = try doubts("configs/qwen3-8b.json", "gpt2")
        #expect(qwen.contains(.fewTokens(50257, vocabulary: 151_936)))
        #expect(qwen.contains(.plainToken(key: "eos_token_id", id: 151_645, token: nil)))
    }

    @Test func theFirstTokenThatDiffersIsNamed() throws {
        let llama = try TokenizerGoldens.tokenizer("llama-2"), stories = try TokenizerGoldens.tokenizer("stories260K")
        #expect(llama.difference(from: llama, in: "there") == nil)
        guard case .otherToken(let id, let token, let other, "there") = llama.difference(from: stories, in: "there")
        else {
            Issue.record("two vocabularies are the same")
            return
        }
        #expect(llama.id(of: token) == id && stories.id(of: other) == id && token != other)
    }
}
