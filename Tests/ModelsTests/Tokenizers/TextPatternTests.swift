import Testing

@testable import Models

@Suite("Text patterns")
struct TextPatternTests {
    private func matches(_ pattern: String, in text: String) throws -> [String] {
        let compiled = try TextPattern(pattern)
        let bytes = Array(text.utf8)
        var found: [String] = []
        bytes.withUnsafeBufferPointer { text in
            compiled.forEachMatch(in: text) { found.append(String(decoding: text[$0], as: UTF8.self)) }
        }
        return found
    }

    /// Expected matches by the rules of Oniguruma.
    @Test("each construct matches what it says")
    func constructs() throws {
        let expected: [(pattern: String, text: String, matches: [String])] = [
            ("b", "abcb", ["b", "b"]),
            ("a|ab", "ab", ["a"]),
            ("ab|a", "aab", ["a", "ab"]),
            ("a+", "aabaaa", ["aa", "aaa"]),
            ("a*b", "aab b", ["aab", "b"]),
            ("a?b", "aab", ["ab"]),
            ("x*", "ab", []),
            ("a{2}", "aaaaa", ["aa", "aa"]),
            ("a{2,3}", "aaaaaa", ["aaa", "aaa"]),
            ("a{2,}", "a aa aaaa", ["aa", "aaaa"]),
            ("[a-cx]+", "abxd", ["abx"]),
            ("[^a-c]+", "abxéd", ["xéd"]),
            (#"[\s,]+"#, "a ,\u{3000}b", [" ,\u{3000}"]),
            (#"[\S]"#, " é", ["é"]),
            (#"\p{Lu}\p{Ll}*"#, "Éa B", ["Éa", "B"]),
            (#"\P{L}"#, "a1", ["1"]),
            (#"\p{^L}"#, "a1", ["1"]),
            (#"\s+(?!\S)"#, "a   b ", ["  ", " "]),
            (#"a(?=b)"#, "acab", ["a"]),
            (#"(?:ab)?c"#, "abcc", ["abc", "c"]),
            (#"(?i:'s)k"#, "'Sk'ſk'sK", ["'Sk", "'ſk"]),
            (#"\Aa|a\z"#, "aaa", ["a", "a"]),
            (#"a++a"#, "aaa", []),
            (#"a?+a"#, "a", []),
            (#"\.\*\|"#, ".*|", [".*|"]),
            (#"."#, "é\n😀", ["é", "😀"]),
        ]
        for (pattern, text, wanted) in expected {
            #expect(try matches(pattern, in: text) == wanted, "\(pattern) in \(text.debugDescription)")
        }
    }

    @Test("a construct that is not understood is refused with its position")
    func refusals() {
        let expected: [(pattern: String, construct: String, offset: Int)] = [
            ("a*?", "a lazy quantifier", 2),
            ("(?<=a)", "a group of this kind", 0),
            ("(?i)a", "a group of this kind", 0),
            ("a$", "$", 1),
            (#"a\b"#, #"\b"#, 1),
            (#"\p{Greek}"#, #"\p{Greek}"#, 9),
            ("(?:ab)+", "a repeated group", 0),
            ("[a[b]]", "a set inside a set", 2),
            ("(a", "a group that is not closed", 2),
            ("a)", "an unmatched )", 1),
            ("[a", "a set that is not closed", 2),
            ("a{2", "an interval", 3),
            ("a{1,2}+", "a repeated repetition", 6),
            ("(?i:é)", "a letter beyond ASCII where case is ignored", 5),
        ]
        for (pattern, construct, offset) in expected {
            #expect(throws: TextPatternError(construct: construct, offset: offset), "\(pattern)") {
                try TextPattern(pattern)
            }
        }
    }
}
