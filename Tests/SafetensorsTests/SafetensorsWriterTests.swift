import Foundation
import MatrixCore
import TestSupport
import Testing

@testable import Safetensors

@Suite("Safetensors files, written")
struct SafetensorsWriterTests {
    private static let declarations: [TensorDeclaration] = [
        .init(name: "b", dtype: .f32, shape: [2, 2]),
        .init(name: "ids", dtype: .i64, shape: [1]),
        .init(name: "a", dtype: .f32, shape: []),
        .init(name: "flag", dtype: .bool, shape: [3]),
        .init(name: "half", dtype: .bf16, shape: [0, 5]),
    ]

    private static func contents(of name: String) -> [UInt8] {
        switch name {
        case "b": littleEndianBytes([1, 2, 3, 4] as [Float])
        case "ids": littleEndianBytes([Int64(-5)])
        case "a": littleEndianBytes([Float(0.5)])
        case "flag": [1, 0, 1]
        default: []
        }
    }

    private static func write(to path: String, order: (TensorInfo, TensorInfo) -> Bool) throws {
        let writer = try SafetensorsWriter(path: path, tensors: declarations, metadata: ["z": "1", "note": "é"])
        for tensor in writer.layout.sorted(by: order) {
            try contents(of: tensor.name).withUnsafeBytes { try writer.append($0, to: tensor.name) }
        }
        try writer.finish()
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int == writer.byteCount)
    }

    @Test("the bytes are those of the reference library")
    func writesReferenceBytes() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/out.safetensors"
        try Self.write(to: path) { $0.byteRange.lowerBound < $1.byteRange.lowerBound }
        // What safetensors.torch.save_file 0.8 writes for these tensors, with two more pairs of metadata.
        let header =
            #"{"__metadata__":{"format":"pt","note":"é","z":"1"},"#
            + #""ids":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"#
            + #""a":{"dtype":"F32","shape":[],"data_offsets":[8,12]},"#
            + #""b":{"dtype":"F32","shape":[2,2],"data_offsets":[12,28]},"#
            + #""half":{"dtype":"BF16","shape":[0,5],"data_offsets":[28,28]},"#
            + #""flag":{"dtype":"BOOL","shape":[3],"data_offsets":[28,31]}}"#
        let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
        let data = ["ids", "a", "b", "half", "flag"].flatMap(Self.contents)
        #expect(try [UInt8](Data(contentsOf: URL(fileURLWithPath: path))) == safetensorsBytes(padded, data: data))
        #expect(try folder.names() == ["out.safetensors"])
    }

    @Test("the order of writing changes nothing, and what is written is read again")
    func writesInAnyOrder() throws {
        let folder = try TemporaryFolder()
        let forwards = folder.path + "/forwards"
        let backwards = folder.path + "/backwards"
        try Self.write(to: forwards) { $0.name < $1.name }
        try Self.write(to: backwards) { $0.name > $1.name }
        #expect(
            try Data(contentsOf: URL(fileURLWithPath: forwards)) == Data(contentsOf: URL(fileURLWithPath: backwards)))
        let file = try SafetensorsFile(path: forwards)
        #expect(file.metadata == ["format": "pt", "z": "1", "note": "é"])
        #expect(Set(file.tensors.map(\.name)) == Set(Self.declarations.map(\.name)))
        for tensor in file.tensors {
            #expect(try file.bytes(of: tensor.name).array(of: UInt8.self) == Self.contents(of: tensor.name))
        }
    }

    @Test("a tensor is written in pieces and from strided rows")
    func writesPieces() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/out"
        let writer = try SafetensorsWriter(
            path: path,
            tensors: [.init(name: "m", dtype: .f32, shape: [3, 2]), .init(name: "n", dtype: .f32, shape: [3, 4])])
        let matrix = Matrix(rows: 3, columns: 4) { Float($0 * 4 + $1) }
        try writer.append(MatrixOperand(matrix).columns(1..<3), to: "m")
        try writer.append(MatrixOperand(matrix).rows(0..<1), to: "n")
        try writer.append(MatrixOperand(matrix).rows(1..<3), to: "n")
        try writer.finish()
        let file = try SafetensorsFile(path: path)
        #expect(try file.bytes(of: "m").array(of: Float.self) == [1, 2, 5, 6, 9, 10])
        #expect(try file.bytes(of: "n").array(of: Float.self) == matrix.elements)
    }

    @Test("a file appears only when it is finished, and replaces the old one whole")
    func isAtomic() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("old", as: "out")
        do {
            let writer = try SafetensorsWriter(path: path, tensors: [.init(name: "x", dtype: .u8, shape: [2])])
            try [1].withUnsafeBytes { try writer.append(UnsafeRawBufferPointer(rebasing: $0[..<1]), to: "x") }
            let error = #expect(throws: SafetensorsError.self) { try writer.finish() }
            #expect(error == SafetensorsError(file: path, tensor: "x", .unwritten(bytes: 1)))
            #expect(try folder.names() == ["out", "out.partial"])
        }
        #expect(try folder.names() == ["out"])
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "old")
    }

    @Test("what cannot be written is refused by its rule")
    func refuses() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/out"
        func rule(_ tensors: [TensorDeclaration]) -> SafetensorsRule? {
            #expect(throws: SafetensorsError.self) { try SafetensorsWriter(path: path, tensors: tensors) }?.rule
        }
        let x = TensorDeclaration(name: "x", dtype: .u8, shape: [1])
        #expect(rule([x, x]) == .duplicateTensor)
        #expect(rule([.init(name: "__metadata__", dtype: .u8, shape: [1])]) == .reservedName)
        #expect(rule([.init(name: "x", dtype: .f4, shape: [1])]) == .partialByte(dtype: .f4, shape: [1]))
        #expect(rule([.init(name: "x", dtype: .f64, shape: [.max])]) == .sizeOverflow(dtype: .f64, shape: [.max]))
        #expect(try folder.names().isEmpty)

        let writer = try SafetensorsWriter(path: path, tensors: [x])
        let tooMany = #expect(throws: SafetensorsError.self) {
            try [UInt8](repeating: 0, count: 2).withUnsafeBytes { try writer.append($0, to: "x") }
        }
        #expect(tooMany?.rule == .wrongByteCount(expected: 1, found: 2))
        let unknown = #expect(throws: SafetensorsError.self) {
            try writer.append(UnsafeRawBufferPointer(start: nil, count: 0), to: "y")
        }
        #expect(unknown?.rule == .noSuchTensor)
    }

    @Test("failures of the system are typed")
    func typesFailures() throws {
        let folder = try TemporaryFolder()
        let missing = #expect(throws: SafetensorsError.self) {
            try SafetensorsWriter(path: folder.path + "/none/out", tensors: [])
        }
        #expect(missing?.rule == .file(FileError(.create, folder.path + "/none/out", code: ENOENT)))

        try FileManager.default.createDirectory(atPath: folder.path + "/full/sub", withIntermediateDirectories: true)
        let over = #expect(throws: FileError.self) { try AtomicFile.write("text", to: folder.path + "/full") }
        #expect(over?.operation == .rename)
        #expect(try folder.names() == ["full"])
    }

    #if os(Linux)
        @Test("a full disk is an error of its own")
        func detectsFullDisk() throws {
            let descriptor = open("/dev/full", O_WRONLY)
            defer { close(descriptor) }
            let error = #expect(throws: FileError.self) {
                try [UInt8](repeating: 1, count: 10).withUnsafeBytes {
                    try writeAll($0, to: descriptor, at: 0, path: "out")
                }
            }
            #expect(error == FileError(.write, "out", code: ENOSPC))
            #expect(error?.isOutOfSpace == true)
            #expect(error?.description == "out: cannot write: No space left on device")
        }
    #endif
}

@Suite("Shard index")
struct ShardIndexTests {
    private func parse(_ text: String) throws -> ShardIndex {
        let folder = try TemporaryFolder()
        return try ShardIndex(path: folder.write(text, as: ShardIndex.fileName))
    }

    @Test("names, files and sizes are read in order")
    func reads() throws {
        let index = try parse(
            #"{"metadata":{"total_size":12},"weight_map":"#
                + #"{"b":"m-2.safetensors","a":"m-1.safetensors","c":"m-2.safetensors"}}"#
        )
        #expect(index.totalSize == 12)
        #expect(index.weightMap.map(\.tensor) == ["b", "a", "c"])
        #expect(index.files == ["m-1.safetensors", "m-2.safetensors"])
        #expect(try parse(#"{"weight_map":{}}"#).totalSize == nil)
        #expect(index.json.text(pretty: false).hasPrefix(#"{"metadata":{"total_size":12},"weight_map":{"b":"#))
    }

    @Test(
        "a shard must be a plain name beside the index",
        arguments: ["", ".", "..", "../m.safetensors", "/etc/passwd", "sub/m.safetensors", "a\\b", "a\0b"])
    func refusesPaths(name: String) throws {
        let text = JSON.object(JSONObject([("weight_map", ["a": JSON(name)])])).text(pretty: false)
        let error = #expect(throws: SafetensorsError.self) { try parse(text) }
        #expect(error?.rule == .shardName(found: name))
        #expect(error?.tensor == "a")
    }

    @Test("other shapes are refused")
    func refuses() throws {
        #expect(#expect(throws: SafetensorsError.self) { try parse("{}") }?.rule == .indexWithoutWeightMap)
        #expect(
            #expect(throws: SafetensorsError.self) { try parse(#"{"weight_map":[]}"#) }?.rule == .indexWithoutWeightMap)
        #expect(
            #expect(throws: SafetensorsError.self) { try parse(#"{"weight_map":{"a":1}}"#) }?.rule
                == .indexEntryNotString)
        let twice = #expect(throws: SafetensorsError.self) { try parse(#"{"weight_map":{"a":"x","a":"y"}}"#) }
        guard case .indexJSON(let error)? = twice?.rule else {
            Issue.record("expected a JSON error")
            return
        }
        #expect(error.rule == .duplicateKey("a"))
    }

    @Test("a real index of eight shards is read", .enabled(if: SharedData.isPresent, "needs shared/data"))
    func readsRealIndex() throws {
        let index = try ShardIndex(path: SharedData.path("configs/qwen-7b-v1.model.safetensors.index.json"))
        #expect(index.files.count == 8)
        #expect(index.weightMap.count == 259)
    }
}
