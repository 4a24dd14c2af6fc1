import Foundation
import MatrixCore
import Safetensors
import Testing

@testable import Models

/// Real vocabularies give the ids of the `tokenizers` library (Scripts/check_tokenizers.py).
@Suite("Real tokenizers", .enabled(if: TokenizerGoldens.hasData, "needs shared/data"))
struct RealTokenizerTests {
    @Test("hard cases have the library's ids and text", arguments: TokenizerGoldens.names)
    func hardCases(name: String) throws {
        let tokenizer = try TokenizerGoldens.tokenizer(name)
        let golden = try #require(TokenizerGoldens.file["tokenizers"]?[name])
        let decoded = TokenizerGoldens.strings(golden["decoded"])
        for (index, text) in TokenizerGoldens.cases.enumerated() {
            let ids = TokenizerGoldens.ids(golden["ids"]?[index])
            #expect(tokenizer.encode(text, addSpecialTokens: false) == ids, "\(name), case \(index): \(text)")
            let ours = tokenizer.decode(ids, skipSpecialTokens: false)
            #expect(ours.unicodeScalars.elementsEqual(decoded[index].unicodeScalars), "\(name), case \(index): \(text)")
        }
        let special = TokenizerGoldens.ids(golden["withSpecialTokens"])
        #expect(tokenizer.encode("Hello world", addSpecialTokens: true) == special)
    }

    @Test("whole texts have the library's ids, line by line and as one", arguments: TokenizerGoldens.names)
    func texts(name: String) throws {
        let tokenizer = try TokenizerGoldens.tokenizer(name)
        let goldens = try #require(TokenizerGoldens.file["tokenizers"]?[name]?["texts"]?.object)
        for (file, golden) in goldens.entries {
            let text = try String(contentsOfFile: "\(TokenizerGoldens.data)/text/\(file)", encoding: .utf8)
            let whole = tokenizer.encode(text, addSpecialTokens: false)
            #expect(whole.count == golden["whole"]?["tokens"]?.int, "\(name), \(file)")
            #expect(TokenizerGoldens.digest(whole) == golden["whole"]?["sha256"]?.string, "\(name), \(file)")
            let lines = text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).flatMap {
                tokenizer.encode(String(decoding: $0, as: UTF8.self), addSpecialTokens: false)
            }
            #expect(lines.count == golden["lines"]?["tokens"]?.int, "\(name), \(file), by lines")
            #expect(TokenizerGoldens.digest(lines) == golden["lines"]?["sha256"]?.string, "\(name), \(file), by lines")
        }
    }

    @Test("every scalar is classified as the library does", arguments: TokenizerGoldens.names)
    func everyScalar(name: String) throws {
        let ids = try TokenizerGoldens.tokenizer(name).encode(TokenizerGoldens.everyScalar, addSpecialTokens: false)
        let golden = try #require(TokenizerGoldens.file["tokenizers"]?[name]?["everyScalar"])
        #expect(ids.count == golden["tokens"]?.int)
        #expect(TokenizerGoldens.digest(ids) == golden["sha256"]?.string)
    }

    @Test("every other component gives the library's ids", arguments: TokenizerGoldens.variants.indices)
    func variants(index: Int) throws {
        let variant = TokenizerGoldens.variants[index]
        let base = try TokenizerGoldens.json(of: #require(variant["base"]?.string))
        let name = variant["name"]?.string ?? ""
        let json = TokenizerGoldens.merged(base, variant["changes"] ?? [:])
        let tokenizer = try Tokenizer(tokenizerJSON: json, configuration: nil)
        let digests = TokenizerGoldens.strings(variant["digests"])
        var decoded: [String] = []
        for (text, digest) in zip(TokenizerGoldens.cases, digests) {
            let ids = tokenizer.encode(text, addSpecialTokens: true)
            #expect(TokenizerGoldens.digest(ids).hasPrefix(digest), "\(name): \(text.debugDescription) \(ids)")
            decoded.append(tokenizer.decode(ids, skipSpecialTokens: true))
        }
        let texts = Array(decoded.joined(separator: "\0").utf8)
        #expect(texts.withUnsafeBytes { SHA256.hex(of: $0) } == variant["decoded"]?.string, "\(name): decoding")
        let ids = tokenizer.encode(TokenizerGoldens.everyScalar, addSpecialTokens: false)
        #expect(TokenizerGoldens.digest(ids) == variant["everyScalar"]?["sha256"]?.string, "\(name): every scalar")
    }

    @Test("a stream of tokens gives the text that decoding them together gives", arguments: TokenizerGoldens.names)
    func streaming(name: String) throws {
        let tokenizer = try TokenizerGoldens.tokenizer(name)
        for text in TokenizerGoldens.cases where name != "bert" {
            let ids = tokenizer.encode(text, addSpecialTokens: true)
            var stream = StreamingDecoder(tokenizer, skipSpecialTokens: true)
            let parts = ids.map { stream.append($0) } + [stream.finish()]
            let whole = tokenizer.decode(ids, skipSpecialTokens: true)
            #expect(parts.joined().utf8.elementsEqual(whole.utf8), "\(name): \(text.debugDescription)")
        }
    }

    @Test("the post-processor tells whether a text begins with BOS")
    func beginningOfText() throws {
        let expected: [(name: String, bos: Int32?, adds: Bool)] = [
            ("stories260K", 1, true), ("llama-2", 1, true), ("gpt2", nil, false), ("gptneox", nil, false),
            ("qwen3", nil, false), ("bert", nil, false),
        ]
        for (name, bos, adds) in expected {
            let tokenizer = try TokenizerGoldens.tokenizer(name)
            #expect(tokenizer.bosToken == bos, "\(name)")
            #expect(tokenizer.addsBOS == adds, "\(name)")
        }
        let qwen = try TokenizerGoldens.tokenizer("qwen3")
        #expect(qwen.eosToken == qwen.id(of: "<|im_end|>"))
        #expect(qwen.vocabularySize == 151_669)
        let folder = try Tokenizer(checkpointFolder: TokenizerGoldens.data + "/stories260K")
        #expect(folder.eosToken == 2)
    }
}
