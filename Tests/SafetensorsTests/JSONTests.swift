import Foundation
import TestSupport
import Testing

@testable import Safetensors

@Suite("JSON")
struct JSONTests {
    @Test("every kind of value is read")
    func readsEveryKind() throws {
        let json = try JSON.parse(#" {"a": [1, -2.5e3, true, false, null], "b": {"c": "d"}, "e": [], "f": {} } "#)
        #expect(json["a"]?[0]?.int == 1)
        #expect(json["a"]?[1]?.double == -2500)
        #expect(json["a"]?[2]?.bool == true)
        #expect(json["a"]?[3]?.bool == false)
        #expect(json["a"]?[4]?.isNull == true)
        #expect(json["a"]?[5] == nil)
        #expect(json["b"]?["c"]?.string == "d")
        #expect(json["e"]?.array?.isEmpty == true)
        #expect(json["f"]?.object?.isEmpty == true)
        #expect(json["g"] == nil)
        #expect(json.object?.keys == ["a", "b", "e", "f"])
    }

    @Test(
        "what is not JSON is refused with its rule and place",
        arguments: [
            ("", .unexpectedEnd, 0),
            ("{", .unexpectedEnd, 1),
            ("[1", .unexpectedEnd, 2),
            ("\"a", .unexpectedEnd, 2),
            ("\"a\\", .unexpectedEnd, 3),
            ("tru", .unexpectedEnd, 3),
            ("trve", .unexpectedByte(UInt8(ascii: "v"), expected: "true"), 2),
            ("[1,]", .unexpectedByte(UInt8(ascii: "]"), expected: "a value"), 3),
            ("{\"a\":1,}", .unexpectedByte(UInt8(ascii: "}"), expected: "a key in double quotes"), 7),
            ("{a:1}", .unexpectedByte(UInt8(ascii: "a"), expected: "a key in double quotes"), 1),
            ("{\"a\" 1}", .unexpectedByte(UInt8(ascii: "1"), expected: "':'"), 5),
            ("[1 2]", .unexpectedByte(UInt8(ascii: "2"), expected: "',' or ']'"), 3),
            ("NaN", .unexpectedByte(UInt8(ascii: "N"), expected: "a value"), 0),
            ("\u{feff}1", .unexpectedByte(0xef, expected: "a value"), 0),
            ("01", .invalidNumber, 0),
            ("-", .invalidNumber, 0),
            ("1.", .invalidNumber, 0),
            ("1e", .invalidNumber, 0),
            ("[.5]", .unexpectedByte(UInt8(ascii: "."), expected: "a value"), 1),
            ("+1", .unexpectedByte(UInt8(ascii: "+"), expected: "a value"), 0),
            ("\"\\x\"", .invalidEscape, 1),
            ("\"\\u12g4\"", .invalidEscape, 1),
            ("\"a\\ud800\"", .loneSurrogate, 2),
            ("\"\\udc00\"", .loneSurrogate, 1),
            ("\"\\ud800\\u0041\"", .loneSurrogate, 1),
            ("\"a\nb\"", .controlCharacter(0x0a), 2),
            ("{\"a\":1,\"b\":2,\"a\":3}", .duplicateKey("a"), 13),
            ("{\"a\":1,\"\\u0061\":3}", .duplicateKey("a"), 7),
            ("1 2", .trailingContent, 2),
            ("{}\0", .trailingContent, 2),
        ] as [(String, JSONError.Rule, Int)])
    func refuses(text: String, rule: JSONError.Rule, offset: Int) {
        let error = #expect(throws: JSONError.self) { try JSON.parse(text) }
        #expect(error?.rule == rule)
        #expect(error?.offset == offset)
    }

    @Test(
        "bytes that are not UTF-8 are refused",
        arguments: [
            [0x22, 0xff, 0x22], [0x22, 0xc0, 0x80, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0xe2, 0x82, 0x22],
            [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22], [0x22, 0x80, 0x22], [0x22, 0xe2],
        ] as [[UInt8]])
    func refusesInvalidUTF8(bytes: [UInt8]) {
        let error = #expect(throws: JSONError.self) {
            try bytes.withUnsafeBytes { (bytes) throws(JSONError) in try JSON.parse(bytes) }
        }
        #expect(error?.rule == .invalidUTF8)
        #expect(error?.offset == 1)
    }

    @Test("validation agrees with the standard library on every lead byte and every edge of the second")
    func validatesUTF8() {
        var disagreements: [[UInt8]] = []
        for lead in UInt8.min...UInt8.max {
            for second in [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff] as [UInt8] {
                for tail in [[], [0x80], [0x80, 0x80], [0xc0], [0x41]] as [[UInt8]] {
                    let bytes = [0x61, lead, second] + tail
                    let expected = String(validating: bytes, as: UTF8.self) != nil
                    if bytes.withUnsafeBytes({ firstInvalidUTF8(in: $0) == nil }) != expected {
                        disagreements.append(bytes)
                    }
                }
            }
        }
        #expect(disagreements.isEmpty)
    }

    @Test("nesting is bounded")
    func boundsDepth() throws {
        let limit = JSONParser.depthLimit
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try JSON.parse(nested(limit))
        let error = #expect(throws: JSONError.self) { try JSON.parse(nested(limit + 1)) }
        #expect(error?.rule == .tooDeep(limit: limit))
    }

    @Test("an error names line, column and file")
    func describesErrors() throws {
        let error = #expect(throws: JSONError.self) { try JSON.parse("{\n  \"a\": 1,\n  \"b\": x\n}") }
        #expect(error?.line == 3)
        #expect(error?.column == 8)
        #expect(error?.description == "line 3, column 8 (byte 19): expected a value, found 'x'")
        let missing = #expect(throws: JSONError.self) { try JSON.parse(file: "/nonexistent/config.json") }
        #expect(missing?.rule == .unreadable(FileError(.open, "/nonexistent/config.json", code: ENOENT)))
        #expect(missing?.description == "/nonexistent/config.json: cannot open: No such file or directory")
    }

    @Test("escapes are decoded and written again")
    func escapes() throws {
        let json = try JSON.parse(#""\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00\u0000""#)
        #expect(json.string == "\"\\/\u{8}\u{c}\n\r\tAé€😀\0")
        #expect(json.text(pretty: false) == #""\"\\/\b\f\n\r\tAé€😀\u0000""#)
        #expect(try JSON.parse(json.text(pretty: false)) == json)
    }

    @Test(
        "numbers keep their text",
        arguments: [
            ("9223372036854775807", Int.max, 9223372036854775807.0),
            ("9223372036854775808", nil, 9223372036854775808.0),
            ("-9223372036854775808", Int.min, -9223372036854775808.0),
            ("9007199254740993", 9_007_199_254_740_993, 9007199254740992.0),
            ("1.0", nil, 1), ("1e3", nil, 1000), ("1E+2", nil, 100), ("-0", 0, 0), ("0.10", nil, 0.1),
            ("1e999", nil, nil),
        ] as [(String, Int?, Double?)])
    func keepsNumbers(text: String, int: Int?, double: Double?) throws {
        let json = try JSON.parse(text)
        #expect(json.int == int)
        #expect(json.double == double)
        #expect(json.text(pretty: false) == text)
    }

    @Test("doubles are written so that they read back the same")
    func writesDoubles() throws {
        for value in [0, -0.0, 1, 0.1, 1e-5, 1e16, 1e300, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1.0 / 3] {
            let text = JSON(value).text(pretty: false)
            #expect(try JSON.parse(text).double == value, "\(text)")
        }
        #expect(JSON(Double.nan).isNull)
        #expect(JSON(Double.infinity).isNull)
    }

    @Test("pretty text is that of Python's json.dump with indent 2")
    func writesPretty() throws {
        let json: JSON = ["b": [1, [], ["x": .null]], "a": "é", "empty": [:], "half": 0.5, "yes": true]
        // json.dumps(..., indent=2, ensure_ascii=False) of Python 3.11, and a line feed.
        let expected = """
            {
              "b": [
                1,
                [],
                {
                  "x": null
                }
              ],
              "a": "é",
              "empty": {},
              "half": 0.5,
              "yes": true
            }

            """
        #expect(json.text(pretty: true) == expected)
        #expect(json.text(pretty: false) == #"{"b":[1,[],{"x":null}],"a":"é","empty":{},"half":0.5,"yes":true}"#)
        #expect(try JSON.parse(expected) == json)
    }

    @Test("an object keeps the order of its keys, small and large", arguments: [3, 8, 9, 10, 100, 5000])
    func keepsOrder(count: Int) throws {
        var object = JSONObject()
        for index in 0..<count { object["key\(index)"] = JSON(index) }
        #expect(object.keys == (0..<count).map { "key\($0)" })
        for index in 0..<count { #expect(object["key\(index)"]?.int == index) }
        #expect(object["absent"] == nil)

        object["key1"] = "changed"
        object["key0"] = nil
        object["key0"] = "last"
        #expect(object.keys == (1..<count).map { "key\($0)" } + ["key0"])
        #expect(object["key1"]?.string == "changed")
        #expect(object["key2"]?.int == 2)
        let text = JSON.object(object).text(pretty: false)
        #expect(try JSON.parse(text) == .object(object))
    }

    @Test("keys that differ only in their bytes are different keys")
    func comparesBytes() throws {
        let json = try JSON.parse("{\"\u{e9}\": 1, \"e\u{301}\": 2}")
        #expect(json["\u{e9}"]?.int == 1)
        #expect(json["e\u{301}"]?.int == 2)
        #expect(JSON("\u{e9}") != JSON("e\u{301}"))
    }

    @Test("members are set in place, and on what was no object")
    func setsMembers() {
        var json: JSON = ["a": 1, "b": 2]
        json["a"] = [1, 2]
        json["c"] = "new"
        json["b"] = nil
        #expect(json.text(pretty: false) == #"{"a":[1,2],"c":"new"}"#)
        var number: JSON = 3
        number["x"] = 1
        #expect(number == ["x": 1])
    }

    @Test("objects are equal in any order, other values exactly")
    func compares() {
        #expect(["a": 1, "b": 2] as JSON == ["b": 2, "a": 1])
        #expect([1, 2] as JSON != [2, 1])
        #expect(1 as JSON != 1.0)
        #expect(["a": 1] as JSON != ["a": 1, "b": 2])
    }

    @Test(
        "real tokenizers and configurations are read and written again",
        .enabled(if: SharedData.isPresent, "needs shared/data"),
        arguments: [
            "tokenizers/bert-base-uncased.tokenizer.json", "tokenizers/gpt2.tokenizer.json",
            "tokenizers/llama-2.tokenizer.json", "tokenizers/pythia-gptneox.tokenizer.json",
            "tokenizers/qwen3.added_tokens.json", "tokenizers/qwen3.tokenizer_config.json",
            "tokenizers/qwen3.vocab.json",
            "configs/bert-base-uncased.json", "configs/llama-2-7b.json", "configs/mixtral-8x7b.json",
            "configs/pythia-410m.json", "configs/qwen-7b-v1.model.safetensors.index.json", "configs/qwen3-8b.json",
            "stories260K/config.json", "stories260K/tokenizer.json", "stories260K/tokenizer_config.json",
        ])
    func readsRealFiles(name: String) throws {
        let json = try JSON.parse(file: SharedData.path(name))
        #expect(json.object?.isEmpty == false)
        #expect(try JSON.parse(json.text(pretty: true)) == json)
        #expect(try JSON.parse(json.text(pretty: false)) == json)
        // An independent reader finds the same document.
        let data = try Data(contentsOf: URL(fileURLWithPath: SharedData.path(name)))
        let expected = try JSONSerialization.jsonObject(with: data) as? NSDictionary
        let written = try JSONSerialization.jsonObject(with: Data(json.text(pretty: false).utf8)) as? NSDictionary
        #expect(expected != nil && expected == written)
    }
}
