import Foundation
import TestSupport
import Testing

@testable import Safetensors

/// One file for each way in which a safetensors file can be wrong, and the rule that it must be refused by.
struct MalformedFile: CustomTestStringConvertible, Sendable {
    let name: String
    let bytes: [UInt8]
    let tensor: String?
    let rule: SafetensorsRule

    init(_ name: String, header: String, data: Int = 0, tensor: String? = nil, _ rule: SafetensorsRule) {
        self.init(
            name, bytes: safetensorsBytes(header, data: [UInt8](repeating: 0, count: data)), tensor: tensor, rule)
    }

    /// A file whose only tensor "a" has this entry.
    init(_ name: String, entry: String, data: Int = 0, _ rule: SafetensorsRule) {
        self.init(name, header: "{\"a\":\(entry)}", data: data, tensor: "a", rule)
    }

    init(_ name: String, bytes: [UInt8], tensor: String? = nil, _ rule: SafetensorsRule) {
        self.name = name
        self.bytes = bytes
        self.tensor = tensor
        self.rule = rule
    }

    var testDescription: String { name }
}

@Suite("Malformed safetensors files")
struct MalformedSafetensorsTests {
    static let a = #""a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}"#

    static let headers: [MalformedFile] = [
        .init("empty file", bytes: [], .tooShort(bytes: 0)),
        .init("seven bytes", bytes: [2, 0, 0, 0, 0, 0, 0], .tooShort(bytes: 7)),
        .init(
            "header over the limit", bytes: littleEndianBytes([UInt64(100_000_001)]),
            .headerTooLong(bytes: 100_000_001, limit: 100_000_000)),
        .init(
            "header of 2^64 - 1 bytes", bytes: littleEndianBytes([UInt64.max]),
            .headerTooLong(bytes: .max, limit: 100_000_000)),
        .init(
            "header beyond the file", bytes: littleEndianBytes([UInt64(3)]) + Array("{}".utf8),
            .headerBeyondFile(bytes: 3, available: 2)),
        .init("no header", header: "", .headerStart(found: nil)),
        .init("space before the header", header: " {}", .headerStart(found: 0x20)),
        .init("array for a header", header: "[]", .headerStart(found: UInt8(ascii: "["))),
        .init("line feed after the header", header: "{}\n", .headerPadding(found: 0x0a)),
        .init("zero bytes after the header", header: "{}\0\0", .headerPadding(found: 0)),
        .init("two objects", header: "{} {}", .headerPadding(found: UInt8(ascii: "{"))),
        .init(
            "header cut off", header: "{\"a\":",
            .headerJSON(JSONError(rule: .unexpectedEnd, offset: 5, line: 1, column: 6))),
        .init(
            "not UTF-8", bytes: littleEndianBytes([UInt64(7)]) + [0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d],
            .headerJSON(JSONError(rule: .invalidUTF8, offset: 2, line: 1, column: 3))),
        .init(
            "tensor named twice", header: "{\(a),\(a)}", data: 2,
            .headerJSON(JSONError(rule: .duplicateKey("a"), offset: 53, line: 1, column: 54))),
        .init(
            "field named twice", header: #"{"a":{"dtype":"U8","dtype":"U8"}}"#,
            .headerJSON(JSONError(rule: .duplicateKey("dtype"), offset: 19, line: 1, column: 20))),
        .init("metadata is a list", header: #"{"__metadata__":[]}"#, .metadataNotStrings(key: nil)),
        .init("metadata is null", header: #"{"__metadata__":null}"#, .metadataNotStrings(key: nil)),
        .init(
            "metadata holds a number", header: #"{"__metadata__":{"format":"pt","n":1}}"#, .metadataNotStrings(key: "n")
        ),
    ]

    static let entries: [MalformedFile] = [
        .init("entry is a list", entry: "[]", .entryNotObject),
        .init("no dtype", entry: #"{"shape":[2],"data_offsets":[0,2]}"#, data: 2, .missingField("dtype")),
        .init("no shape", entry: #"{"dtype":"U8","data_offsets":[0,2]}"#, data: 2, .missingField("shape")),
        .init("no offsets", entry: #"{"dtype":"U8","shape":[2]}"#, data: 2, .missingField("data_offsets")),
        .init(
            "a field too many", entry: #"{"dtype":"U8","shape":[2],"data_offsets":[0,2],"x":0}"#, data: 2,
            .unknownField("x")),
        .init(
            "unknown dtype", entry: #"{"dtype":"F128","shape":[2],"data_offsets":[0,2]}"#, data: 2,
            .unknownDType(found: "\"F128\"")),
        .init(
            "dtype in small letters", entry: #"{"dtype":"u8","shape":[2],"data_offsets":[0,2]}"#, data: 2,
            .unknownDType(found: "\"u8\"")),
        .init(
            "dtype is a number", entry: #"{"dtype":8,"shape":[2],"data_offsets":[0,2]}"#, data: 2,
            .unknownDType(found: "8")),
        .init(
            "shape is a number", entry: #"{"dtype":"U8","shape":2,"data_offsets":[0,2]}"#, data: 2,
            .invalidShape(found: "2")),
        .init(
            "negative side", entry: #"{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}"#, data: 2,
            .invalidShape(found: "[-2]")),
        .init(
            "minus zero side", entry: #"{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}"#, .invalidShape(found: "[-0]")
        ),
        .init(
            "fractional side", entry: #"{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}"#, data: 2,
            .invalidShape(found: "[2.0]")),
        .init(
            "side of 2^63", entry: #"{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,2]}"#, data: 2,
            .invalidShape(found: "[9223372036854775808]")),
        .init(
            "one offset", entry: #"{"dtype":"U8","shape":[2],"data_offsets":[2]}"#, data: 2,
            .invalidOffsets(found: "[2]")),
        .init(
            "three offsets", entry: #"{"dtype":"U8","shape":[2],"data_offsets":[0,1,2]}"#, data: 2,
            .invalidOffsets(found: "[0,1,2]")),
        .init(
            "offsets as text", entry: #"{"dtype":"U8","shape":[2],"data_offsets":["0","2"]}"#, data: 2,
            .invalidOffsets(found: "[\"0\",\"2\"]")),
        .init(
            "negative offset", entry: #"{"dtype":"U8","shape":[2],"data_offsets":[-2,0]}"#, data: 2,
            .invalidOffsets(found: "[-2,0]")),
        .init(
            "fractional offset", entry: #"{"dtype":"U8","shape":[2],"data_offsets":[0,2e0]}"#, data: 2,
            .invalidOffsets(found: "[0,2e0]")),
        .init(
            "offsets in reverse", entry: #"{"dtype":"U8","shape":[2],"data_offsets":[2,0]}"#, data: 2,
            .invalidOffsets(found: "[2,0]")),
        .init(
            "offset that overflows with the header",
            entry: #"{"dtype":"U8","shape":[2],"data_offsets":[9223372036854775805,9223372036854775807]}"#,
            data: 2, .invalidOffsets(found: "[9223372036854775805,9223372036854775807]")),
        .init(
            "sides whose product overflows",
            entry: #"{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,2]}"#, data: 2,
            .sizeOverflow(dtype: .f32, shape: [4_294_967_296, 4_294_967_296])),
        .init(
            "empty tensor whose other sides overflow",
            entry: #"{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}"#,
            .sizeOverflow(dtype: .f32, shape: [0, 4_294_967_296, 4_294_967_296])),
        .init(
            "half a byte", entry: #"{"dtype":"F4","shape":[3],"data_offsets":[0,2]}"#, data: 2,
            .partialByte(dtype: .f4, shape: [3])),
        .init(
            "six bits", entry: #"{"dtype":"F6_E2M3","shape":[2],"data_offsets":[0,2]}"#, data: 2,
            .partialByte(dtype: .f6e2m3, shape: [2])),
        .init(
            "too few bytes", entry: #"{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#, data: 4,
            .wrongByteCount(expected: 8, found: 4)),
        .init(
            "too many bytes", entry: #"{"dtype":"U8","shape":[2],"data_offsets":[0,3]}"#, data: 3,
            .wrongByteCount(expected: 2, found: 3)),
    ]

    static let layouts: [MalformedFile] = [
        .init(
            "hole at the start", entry: #"{"dtype":"U8","shape":[2],"data_offsets":[1,3]}"#, data: 3,
            .notContiguous(expected: 0, found: 1)),
        .init(
            "hole between", header: #"{\#(a),"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}"#, data: 5,
            tensor: "b",
            .notContiguous(expected: 2, found: 3)),
        .init(
            "overlap", header: #"{\#(a),"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#, data: 3, tensor: "b",
            .notContiguous(expected: 2, found: 1)),
        .init(
            "same bytes twice", header: #"{\#(a),"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, data: 2,
            tensor: "b",
            .notContiguous(expected: 2, found: 0)),
        .init(
            "empty tensor inside another", header: #"{\#(a),"b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}"#,
            data: 2, tensor: "b",
            .notContiguous(expected: 2, found: 1)),
        .init("data cut off", header: "{\(a)}", data: 1, .wrongFileSize(expected: 63, found: 62)),
        .init("data after the last tensor", header: "{\(a)}", data: 3, .wrongFileSize(expected: 63, found: 64)),
        .init("data without a tensor", header: "{}", data: 1, .wrongFileSize(expected: 10, found: 11)),
    ]

    @Test("is refused by the rule it breaks, mapped or read", arguments: headers + entries + layouts)
    func isRefused(file: MalformedFile) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(file.bytes)
        for access in [SafetensorsFile.Access.mapped, .read] {
            let error = #expect(throws: SafetensorsError.self) { try SafetensorsFile(path: path, access: access) }
            #expect(error == SafetensorsError(file: path, tensor: file.tensor, file.rule))
            #expect(error?.description.hasPrefix(path + ": ") == true)
        }
    }

    @Test("every cut of a good file is refused")
    func refusesEveryCut() throws {
        let folder = try TemporaryFolder()
        let whole = safetensorsBytes("{\(Self.a)}", data: [1, 2])
        for length in 0..<whole.count {
            let path = try folder.write(Array(whole[..<length]))
            #expect(throws: SafetensorsError.self) { try SafetensorsFile(path: path) }
        }
        #expect(try SafetensorsFile(path: folder.write(whole)).tensors.count == 1)
    }

    @Test("a file that is not there or is a folder is an error of the system")
    func refusesMissing() throws {
        let folder = try TemporaryFolder()
        let missing = #expect(throws: SafetensorsError.self) { try SafetensorsFile(path: folder.path + "/none") }
        #expect(missing?.rule == .file(FileError(.open, folder.path + "/none", code: ENOENT)))
        let directory = #expect(throws: SafetensorsError.self) { try SafetensorsFile(path: folder.path) }
        #expect(directory?.rule == .file(FileError(.open, folder.path, code: EISDIR)))
    }

    @Test("errors are whole sentences")
    func describes() {
        let error = SafetensorsError(file: "m.safetensors", tensor: "a.weight", .wrongByteCount(expected: 8, found: 4))
        #expect(
            error.description == "m.safetensors: tensor \"a.weight\": expected 8 bytes for dtype and shape, found 4")
        let json = JSONError(rule: .duplicateKey("a"), offset: 9, line: 1, column: 10)
        #expect(
            SafetensorsError(file: "m", .headerJSON(json)).description
                == "m: header: line 1, column 10 (byte 9): the key \"a\" occurs twice in one object")
    }
}
