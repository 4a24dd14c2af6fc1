import Foundation
import Safetensors
import Testing

@testable import Models

@Suite("Tokenizer files")
struct TokenizerFileTests {
    private func error(_ json: JSON) -> TokenizerError? {
        do {
            _ = try Tokenizer(tokenizerJSON: json, configuration: nil)
            return nil
        } catch {
            return error
        }
    }

    private func changing(_ key: String, to value: JSON) -> JSON {
        TokenizerGoldens.merged(TinyTokenizers.bytePair(), .object(JSONObject([(key: key, value: value)])))
    }

    @Test("an unsupported component is refused by its name and place")
    func unsupported() {
        let expected: [(key: String, value: JSON, component: String, name: String)] = [
            ("normalizer", ["type": "Precompiled"], "normalizer", "Precompiled"),
            ("normalizer", ["type": "Sequence", "normalizers": [["type": "NFC"], ["type": "Nmt"]]],
                "normalizer.normalizers[1]", "Nmt"),
            ("pre_tokenizer", ["type": "UnicodeScripts"], "pre_tokenizer", "UnicodeScripts"),
            ("pre_tokenizer",
                ["type": "Split", "pattern": ["Regex": "(?<=a)b"], "behavior": "Isolated"], "pre_tokenizer.pattern",
                "a group of this kind at character 0 of \"(?<=a)b\""),
            ("pre_tokenizer", ["type": "Split", "pattern": ["String": "-"], "behavior": "Sideways"],
                "pre_tokenizer.behavior", "\"Sideways\""),
            ("decoder", ["type": "CTC"], "decoder", "CTC"),
            ("post_processor", ["type": "Other"], "post_processor", "Other"),
            ("model", ["type": "Unigram"], "model", "Unigram"),
            ("model", ["dropout": 0.1], "model", "dropout"),
            ("model", ["end_of_word_suffix": "</w>"], "model", "end_of_word_suffix"),
        ]
        for (key, value, component, name) in expected {
            #expect(error(changing(key, to: value)) == .unsupported(component: component, name: name))
        }
    }

    @Test("a malformed file is refused with the place")
    func malformed() {
        let expected: [(key: String, value: JSON, place: String, problem: String)] = [
            ("model", ["merges": ["a b", "a x"]], "model.merges[1]", "a part or the result is not in the vocabulary"),
            ("model", ["merges": ["a b c"]], "model.merges[0]", "expected two tokens"),
            ("model", ["merges": 3], "model.merges", "expected an array"),
            ("model", ["vocab": ["a": -1]], "model.vocab[\"a\"]", "expected a token id below 16777216"),
            ("model", ["vocab": ["a": 4_000_000_000]], "model.vocab[\"a\"]", "expected a token id below 16777216"),
            ("model", ["vocab": []], "model.vocab", "expected an object"),
            ("model", ["unk_token": "none"], "model.unk_token", "not a token of the vocabulary"),
            ("normalizer", ["type": "Prepend"], "normalizer", "no \"prepend\""),
            ("normalizer", ["type": 1], "normalizer.type", "expected a string"),
            ("added_tokens", [["id": 1]], "added_tokens[2]", "no \"content\""),
            ("post_processor", ["type": "TemplateProcessing", "single": [["SpecialToken": ["id": "<x>"]]]],
                "post_processor", "no \"special_tokens\""),
        ]
        for (key, value, place, problem) in expected {
            #expect(error(changing(key, to: value)) == .malformed(place: place, problem: problem))
        }
        #expect(error([:]) == .malformed(place: "tokenizer.json", problem: "no \"model\""))
    }

    // MARK: - Folders

    /// Runs `body` with a folder that holds these files.
    private func withFolder(_ files: [String: String], _ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tokenizer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
        try body(folder.path())
    }

    @Test("a folder with neither tokenizer.json nor a vocabulary has no tokenizer")
    func missing() throws {
        try withFolder([:]) { folder in
            #expect(throws: TokenizerError.notFound(folder: folder)) { try Tokenizer(checkpointFolder: folder) }
        }
        try withFolder(["tokenizer.model": "x"]) { folder in
            let expected = TokenizerError.unsupported(
                component: folder + "/tokenizer.model", name: "a SentencePiece model")
            #expect(throws: expected) { try Tokenizer(checkpointFolder: folder) }
        }
    }

    @Test("a file that is not JSON is named with line and column")
    func notJSON() throws {
        try withFolder(["tokenizer.json": "{\n]"]) { folder in
            do {
                _ = try Tokenizer(checkpointFolder: folder)
                Issue.record("was read")
            } catch {
                #expect("\(error)".contains("tokenizer.json: line 2, column 1"), "\(error)")
            }
        }
    }

    @Test("a vocabulary with merges is read by the class that the configuration names")
    func vocabularyAndMerges() throws {
        let files = [
            "vocab.json": #"{"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ġab": 4, "1": 5, "11": 6, "<e>": 7}"#,
            "merges.txt": "#version: 0.2\na b\r\nĠ ab\n1 1\n",
        ]
        let expected: [(name: String, ids: [Int32])] = [
            ("GPT2Tokenizer", [2, 4, 6, 7]),
            ("GPTNeoXTokenizerFast", [2, 4, 6, 7]),
            ("Qwen2Tokenizer", [2, 4, 5, 5, 7]),  // digits one by one
        ]
        for (name, ids) in expected {
            let configuration = #"{"tokenizer_class": "\#(name)", "eos_token": "<e>"}"#
            try withFolder(files.merging(["tokenizer_config.json": configuration]) { $1 }) { folder in
                let tokenizer = try Tokenizer(checkpointFolder: folder)
                #expect(tokenizer.encode("ab ab11<e>", addSpecialTokens: true) == ids, "\(name)")
                #expect(tokenizer.decode(ids, skipSpecialTokens: true) == "ab ab11")
                #expect(tokenizer.eosToken == 7)
                #expect(!tokenizer.addsBOS)
            }
        }
        let other = files.merging(["tokenizer_config.json": #"{"tokenizer_class": "OtherTokenizer"}"#]) { $1 }
        try withFolder(other) { folder in
            let expected = TokenizerError.unsupported(
                component: folder + "/tokenizer_config.json", name: "tokenizer_class OtherTokenizer")
            #expect(throws: expected) { try Tokenizer(checkpointFolder: folder) }
        }
    }

    @Test("a list of WordPiece tokens is read as BERT's")
    func vocabularyText() throws {
        let files = [
            "vocab.txt": "[UNK]\n[CLS]\n[SEP]\nun\n##able\n",
            "tokenizer_config.json": #"{"tokenizer_class": "BertTokenizer", "unk_token": "[UNK]","#
                + #" "cls_token": "[CLS]", "sep_token": "[SEP]"}"#,
        ]
        try withFolder(files) { folder in
            let tokenizer = try Tokenizer(checkpointFolder: folder)
            #expect(tokenizer.encode("Unable x", addSpecialTokens: true) == [1, 3, 4, 0, 2])
            #expect(tokenizer.decode([1, 3, 4, 2], skipSpecialTokens: true) == "unable")
        }
    }
}
