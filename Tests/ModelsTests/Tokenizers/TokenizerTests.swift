import Foundation
import Safetensors
import Testing

@testable import Models

@Suite("Tokenizer")
struct TokenizerTests {
    // MARK: - Byte-pair encoding

    @Test("the earliest rule is applied first, of equal pairs the leftmost")
    func mergeOrder() throws {
        let tokenizer = try Tokenizer(tokenizerJSON: TinyTokenizers.bytePair(), configuration: nil)
        let expected: [(text: String, ids: [Int32])] = [
            ("", []),
            ("a", [264]),  // ▁ a → ▁a
            ("ab", [259, 263]),  // "a b" comes before "▁ a"
            ("abc", [259, 265]),  // ab is made first, then ab c
            ("bc", [259, 266]),
            ("bbc", [259, 261, 266]),
            ("a a", [264, 264]),
            ("a  a", [264, 259, 264]),
        ]
        for (text, ids) in expected {
            #expect(tokenizer.encode(text, addSpecialTokens: false) == ids, "\(text)")
            #expect(tokenizer.encode(text, addSpecialTokens: true) == [1] + ids, "\(text)")
            #expect(tokenizer.decode(ids, skipSpecialTokens: true) == text)
        }
        #expect(tokenizer.addsBOS)
        #expect(tokenizer.bosToken == 1)
        #expect(tokenizer.vocabularySize == 267)
    }

    @Test("characters without a token become their bytes, and come back from them")
    func byteFallback() throws {
        let tokenizer = try Tokenizer(tokenizerJSON: TinyTokenizers.bytePair(), configuration: nil)
        let ids = tokenizer.encode("é", addSpecialTokens: false)
        #expect(ids == [259, 3 + 0xC3, 3 + 0xA9])
        #expect(tokenizer.decode(ids, skipSpecialTokens: true) == "é")
        #expect(tokenizer.decode([3 + 0xC3, 264], skipSpecialTokens: true) == "\u{FFFD} a")
    }

    @Test("without byte fallback neighbouring unknown characters are one unknown token")
    func unknownCharacters() throws {
        let tokenizer = try Tokenizer(tokenizerJSON: TinyTokenizers.bytePair(byteFallback: false), configuration: nil)
        #expect(tokenizer.encode("éèa ü", addSpecialTokens: false) == [259, 0, 260, 259, 0])
    }

    /// The heap is used for words of more than 48 characters; the oracle merges one pair at a time, searching all.
    @Test("a long word is merged as by searching all pairs each time", arguments: [47, 48, 49, 50, 97, 1009])
    func longWords(length: Int) throws {
        let tokenizer = try Tokenizer(tokenizerJSON: TinyTokenizers.bytePair(), configuration: nil)
        let letters = ["a", "b", "c", "a", "b"]
        var parts = ["▁"]
        for index in 0..<length { parts.append(letters[(index * index + index / 7) % 5]) }
        let word = parts.dropFirst().joined()
        let rules = [["a", "b"], ["▁", "a"], ["b", "c"], ["ab", "c"]]
        while true {
            var best = rules.count
            var place = 0
            for index in 0..<parts.count - 1 {
                let rank = rules.firstIndex(of: Array(parts[index...index + 1])) ?? rules.count
                if rank < best { (best, place) = (rank, index) }
            }
            guard best < rules.count else { break }
            parts.replaceSubrange(place...place + 1, with: [parts[place] + parts[place + 1]])
        }
        let expected = parts.map { tokenizer.id(of: $0) ?? -1 }
        #expect(tokenizer.encode(word, addSpecialTokens: false) == expected)
    }

    @Test("special tokens written out are recognised, and left out of the text when asked")
    func specialTokens() throws {
        let tokenizer = try Tokenizer(tokenizerJSON: TinyTokenizers.bytePair(), configuration: nil)
        let ids = tokenizer.encode("a</s>a", addSpecialTokens: false)
        #expect(ids == [264, 2, 264])
        #expect(tokenizer.decode(ids, skipSpecialTokens: false) == "a</s> a")
        #expect(tokenizer.decode(ids, skipSpecialTokens: true) == "a a")
    }

    @Test("the configuration names the first and last token, as text or as an object")
    func configuration() throws {
        let json = TinyTokenizers.bytePair()
        let named = try Tokenizer(
            tokenizerJSON: json, configuration: ["bos_token": ["content": "</s>"], "eos_token": "<s>"])
        #expect(named.bosToken == 2)
        #expect(named.eosToken == 1)
        #expect(!named.addsBOS)
        let none = try Tokenizer(tokenizerJSON: json, configuration: ["bos_token": .null])
        #expect(none.bosToken == nil)
        #expect(!none.addsBOS)
    }

    // MARK: - WordPiece

    @Test("a word becomes the longest pieces from its start, or is unknown as a whole")
    func wordPiece() throws {
        let tokenizer = try Tokenizer(tokenizerJSON: TinyTokenizers.wordPiece, configuration: nil)
        let expected: [(text: String, ids: [Int32])] = [
            ("unaffable", [0]),  // nine characters, one more than allowed
            ("una", [8]), ("unaff", [0]), ("unaa", [8, 6]), ("UNÁB.", [8, 9, 7]), ("un una", [3, 8]),
            ("x", [0]), ("", []),
        ]
        for (text, ids) in expected {
            #expect(tokenizer.encode(text, addSpecialTokens: false) == ids, "\(text)")
            #expect(tokenizer.encode(text, addSpecialTokens: true) == [1] + ids + [2], "\(text)")
        }
        #expect(tokenizer.decode([3, 8, 9, 7], skipSpecialTokens: true) == "un unab.")
    }

    // MARK: - Streaming

    @Test("a stream holds a character back until it is complete")
    func streaming() throws {
        let tokenizer = try Tokenizer(tokenizerJSON: TinyTokenizers.bytePair(), configuration: nil)
        var stream = StreamingDecoder(tokenizer, skipSpecialTokens: true)
        let smile: [Int32] = [3 + 0xF0, 3 + 0x9F, 3 + 0x98, 3 + 0x80]
        let ids: [Int32] = [1, 264] + smile + [264, 3 + 0xC3]
        let parts = ids.map { stream.append($0) }
        #expect(parts == ["", "a", "", "", "", "😀", " a", ""])
        #expect(stream.finish() == "\u{FFFD}")
        #expect(stream.finish() == "")
    }

    @Test("a stream of broken bytes is handed out in the end and does not grow without limit")
    func brokenStream() throws {
        let tokenizer = try Tokenizer(tokenizerJSON: TinyTokenizers.bytePair(), configuration: nil)
        var stream = StreamingDecoder(tokenizer, skipSpecialTokens: true)
        let parts = (0..<20).map { _ in stream.append(3 + 0xFF) } + [stream.finish()]
        #expect(parts.joined() == String(repeating: "\u{FFFD}", count: 20))
    }
}
