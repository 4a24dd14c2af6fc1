import Foundation
import MatrixCore
import Safetensors
import TestSupport
import Testing

@testable import Checkpoints

@Suite("Checkpoints, written")
struct CheckpointWriterTests {
    private static let declarations = (0..<5).map {
        TensorDeclaration(name: "layers.\($0).w.weight", dtype: $0 == 2 ? .f16 : .f32, shape: [4, 10])
    }

    private func write(to folder: TemporaryFolder, maximumShardBytes: Int, reversed: Bool = false) throws
        -> CheckpointWriter
    {
        let writer = try CheckpointWriter(
            folder: folder.path, config: ["model_type": "x"], tensors: Self.declarations,
            maximumShardBytes: maximumShardBytes)
        for name in reversed ? writer.names.reversed() : writer.names {
            let bytes = Array(name.utf8.map { Float($0) }.prefix(10))
            let matrix = Matrix(rows: 4, columns: 10) { Float($0) + bytes[$1] }
            if name.contains("2") {
                try [UInt16](repeating: 0x3c00, count: 40).withUnsafeBytes { try writer.append($0, to: name) }
            } else {
                try writer.append(MatrixOperand(matrix).rows(0..<1), to: name)
                try writer.append(MatrixOperand(matrix).rows(1..<4), to: name)
            }
        }
        try writer.finish()
        return writer
    }

    @Test("one shard is model.safetensors, without an index")
    func writesOneFile() throws {
        let folder = try TemporaryFolder()
        let writer = try write(to: folder, maximumShardBytes: 10_000)
        #expect(try folder.names() == ["config.json", "model.safetensors"])
        #expect(writer.tensorBytes == 4 * 160 + 80)
        #expect(writer.parameterCount == 200)
        let checkpoint = try Checkpoint(path: folder.path)
        #expect(checkpoint.config == ["model_type": "x"])
        #expect(checkpoint.tensors.map(\.name) == Self.declarations.map(\.name))
        #expect(try checkpoint.operand(of: "layers.2.w.weight")[3, 9] == 1)
        #expect(try checkpoint.operand(of: "layers.3.w.weight")[2, 0] == 2 + Double(UInt8(ascii: "l")))
    }

    @Test(
        "tensors are dealt out to shards in order",
        arguments: [(320, [2, 2, 1]), (319, [1, 2, 1, 1]), (1, [1, 1, 1, 1, 1]), (720, [5])] as [(Int, [Int])])
    func deals(maximum: Int, counts: [Int]) throws {
        let folder = try TemporaryFolder()
        let writer = try write(to: folder, maximumShardBytes: maximum)
        #expect(writer.shardNames.count == counts.count)
        let checkpoint = try Checkpoint(path: folder.path)
        #expect(checkpoint.warnings == [.unknownArchitecture(modelType: "x")])
        #expect(checkpoint.files.map(\.tensors.count) == counts)
    }

    @Test("shards are named and indexed as loaders expect, and the order of writing changes nothing")
    func writesShards() throws {
        let folder = try TemporaryFolder()
        let other = try TemporaryFolder()
        _ = try write(to: folder, maximumShardBytes: 320)
        _ = try write(to: other, maximumShardBytes: 320, reversed: true)
        let names = [
            "config.json", "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
            "model-00003-of-00003.safetensors", "model.safetensors.index.json",
        ]
        #expect(try folder.names() == names)
        for name in names {
            #expect(
                try Data(contentsOf: URL(fileURLWithPath: folder.path + "/" + name))
                    == Data(contentsOf: URL(fileURLWithPath: other.path + "/" + name)), "\(name)")
        }
        #expect(
            try String(contentsOfFile: folder.path + "/model.safetensors.index.json", encoding: .utf8).hasPrefix(
                """
                {
                  "metadata": {
                    "total_parameters": 200,
                    "total_size": 720
                  },
                  "weight_map": {
                    "layers.0.w.weight": "model-00001-of-00003.safetensors",
                """))
    }

    @Test("a checkpoint is copied bit by bit")
    func copies() throws {
        let source = try TemporaryFolder()
        let target = try TemporaryFolder()
        _ = try write(to: source, maximumShardBytes: 320)
        let checkpoint = try Checkpoint(path: source.path)
        let writer = try CheckpointWriter(
            folder: target.path, config: checkpoint.config,
            tensors: checkpoint.tensors.map { TensorDeclaration(name: $0.name, dtype: $0.dtype, shape: $0.shape) },
            maximumShardBytes: 1000)
        for name in writer.names { try writer.copy(name, from: checkpoint) }
        try writer.finish()
        #expect(try Checkpoint(path: target.path).fingerprint() == checkpoint.fingerprint())
    }

    @Test("what is left out or written twice is an error")
    func refuses() throws {
        let folder = try TemporaryFolder()
        let x = TensorDeclaration(name: "x", dtype: .u8, shape: [2])
        let twice = #expect(throws: CheckpointError.self) {
            try CheckpointWriter(folder: folder.path, config: [:], tensors: [x, x], maximumShardBytes: 1)
        }
        #expect(twice == .duplicateTensor(tensor: "x"))

        let writer = try CheckpointWriter(folder: folder.path, config: [:], tensors: [x], maximumShardBytes: 100)
        try [UInt8(1)].withUnsafeBytes { try writer.append($0, to: "x") }
        let unfinished = #expect(throws: CheckpointError.self) { try writer.finish() }
        #expect(
            unfinished
                == .safetensors(
                    SafetensorsError(file: folder.path + "/model.safetensors", tensor: "x", .unwritten(bytes: 1))))
        try [UInt8(1)].withUnsafeBytes { try writer.append($0, to: "x") }
        let again = #expect(throws: CheckpointError.self) {
            try [UInt8(1)].withUnsafeBytes { try writer.append($0, to: "x") }
        }
        #expect(again == .duplicateTensor(tensor: "x"))
        let unknown = #expect(throws: CheckpointError.self) {
            try [UInt8(1)].withUnsafeBytes { try writer.append($0, to: "y") }
        }
        #expect(unknown == .noSuchTensor(checkpoint: folder.path, tensor: "y"))
        try writer.finish()
        #expect(try folder.names() == ["config.json", "model.safetensors"])
    }

    @Test("empty tensors and a checkpoint without tensors are written")
    func writesEmpty() throws {
        let folder = try TemporaryFolder()
        let writer = try CheckpointWriter(
            folder: folder.path, config: [:], tensors: [.init(name: "e", dtype: .f32, shape: [0, 3])],
            maximumShardBytes: 1)
        try writer.finish()
        #expect(try Checkpoint(path: folder.path).tensors.map(\.shape) == [[0, 3]])
        let none = try TemporaryFolder()
        try CheckpointWriter(folder: none.path, config: [:], tensors: [], maximumShardBytes: 1).finish()
        #expect(try Checkpoint(path: none.path).tensors.isEmpty)
    }
}
