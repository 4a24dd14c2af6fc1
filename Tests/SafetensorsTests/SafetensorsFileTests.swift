import Foundation
import MatrixCore
import TestSupport
import Testing

@testable import Safetensors

@Suite("Safetensors files, read")
struct SafetensorsFileTests {
    private static let accesses: [SafetensorsFile.Access] = [.mapped, .read]

    @Test("every dtype of the format is known with its size")
    func knowsDTypes() throws {
        // The list that the reference library 0.8 prints when it is given an unknown dtype.
        let reference = [
            "BOOL", "F4", "F6_E2M3", "F6_E3M2", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ",
            "F8_E5M2FNUZ",
            "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64", "F64", "I64", "U64",
        ]
        #expect(TensorDType.allCases.map(\.rawValue) == reference)
        let bytesOfEight = [8, 4, 6, 6, 8, 8, 8, 8, 8, 8, 8, 16, 16, 16, 16, 32, 32, 32, 64, 64, 64, 64]
        for (dtype, bytes) in zip(TensorDType.allCases, bytesOfEight) {
            #expect(try dtype.byteCount(of: [2, 4]) == bytes, "\(dtype)")
            #expect(try dtype.byteCount(of: [2, 0, 4]) == 0)
        }
        #expect(TensorDType.allCases.filter { $0.elementType != nil } == [.f16, .bf16, .f32, .f64])
    }

    @Test("tensors come in the order of their data, whatever the header's order", arguments: accesses)
    func readsTensors(access: SafetensorsFile.Access) throws {
        let header = #"""
            {"b": {"data_offsets": [4, 8], "shape": [2, 1], "dtype": "BF16"},
             "__metadata__": {"format": "pt", "note": "é"},
             "a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
             "empty": {"dtype": "I64", "shape": [3, 0], "data_offsets": [4, 4]}}   
            """#
        let folder = try TemporaryFolder()
        let path = try folder.write(
            safetensorsBytes(
                header, data: littleEndianBytes([Float(-1.5)]) + littleEndianBytes([0x3f80, 0xc000] as [UInt16])))
        let file = try SafetensorsFile(path: path, access: access)
        #expect(file.metadata == ["format": "pt", "note": "é"])
        #expect(file.tensors.map(\.name) == ["a", "empty", "b"])
        #expect(file.tensors.map(\.shape) == [[], [3, 0], [2, 1]])
        #expect(file.tensor(named: "b")?.dtype == .bf16)
        #expect(file.tensor(named: "c") == nil)
        #expect(file.tensors.map(\.elementCount) == [1, 0, 2])

        let scalar = try file.operand(of: "a")
        #expect((scalar.rows, scalar.columns, scalar[0, 0]) == (1, 1, -1.5))
        let column = try file.operand(of: "b")
        #expect((column.rows, column.columns, column[0, 0], column[1, 0]) == (2, 1, 1, -2))
        #expect(try file.bytes(of: "empty").count == 0)
    }

    @Test("a file without tensors is read", arguments: accesses)
    func readsEmpty(access: SafetensorsFile.Access) throws {
        let folder = try TemporaryFolder()
        let file = try SafetensorsFile(path: folder.write(safetensorsBytes("{}      ")), access: access)
        #expect(file.tensors.isEmpty)
        #expect(file.metadata.isEmpty)
    }

    @Test("every number format is widened as stored", arguments: accesses)
    func readsFormats(access: SafetensorsFile.Access) throws {
        let data =
            littleEndianBytes([1.0 / 3, -2] as [Double]) + littleEndianBytes([0.1, 7] as [Float])
            + littleEndianBytes([0x3c01, 0xfbff] as [UInt16]) + littleEndianBytes([0x3f81, 0x7f80] as [UInt16])
        let header = #"""
            {"f64":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},
            "f32":{"dtype":"F32","shape":[2],"data_offsets":[16,24]},
            "f16":{"dtype":"F16","shape":[2],"data_offsets":[24,28]},
            "bf16":{"dtype":"BF16","shape":[2],"data_offsets":[28,32]}}
            """#
        let folder = try TemporaryFolder()
        let file = try SafetensorsFile(path: folder.write(safetensorsBytes(header, data: data)), access: access)
        let expected: [(String, ElementType, Double, Double)] = [
            ("f64", .float64, 1.0 / 3, -2), ("f32", .float32, Double(Float(0.1)), 7),
            ("f16", .float16, 1 + 0x1p-10, -65504), ("bf16", .bfloat16, 1 + 0x1p-7, .infinity),
        ]
        for (name, type, first, second) in expected {
            let row = try file.operand(of: name)
            #expect((row.rows, row.columns, row.type) == (1, 2, type))
            #expect(row[0, 0] == first)
            #expect(row[0, 1] == second)
        }
    }

    @Test("data at any offset is readable at an aligned address", arguments: accesses, 0..<8)
    func alignsData(access: SafetensorsFile.Access, padding: Int) throws {
        let header =
            #"{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"#
            + #""y":{"dtype":"F64","shape":[1,3],"data_offsets":[1,25]}}"#
        let values = [1.5, -2.5, 3.5]
        let folder = try TemporaryFolder()
        let path = try folder.write(
            safetensorsBytes(header + String(repeating: " ", count: padding), data: [9] + littleEndianBytes(values)))
        let file = try SafetensorsFile(path: path, access: access)
        let row = try file.operand(of: "y")
        #expect(UInt(bitPattern: row.base) % 8 == 0)
        #expect((0..<3).map { row[0, $0] } == values)
        #expect(try file.bytes(of: "y").array(of: Double.self) == values)
        #expect(try file.bytes(of: "x").array(of: UInt8.self) == [9])
    }

    @Test("axes are folded and stacks are sliced", arguments: accesses)
    func foldsAndSlices(access: SafetensorsFile.Access) throws {
        let header =
            #"{"x":{"dtype":"F32","shape":[2,3,4],"data_offsets":[0,96]},"#
            + #""n":{"dtype":"I32","shape":[1,1],"data_offsets":[96,100]}}"#
        let data = littleEndianBytes((0..<24).map { Float($0) }) + littleEndianBytes([Int32(-7)])
        let folder = try TemporaryFolder()
        let path = try folder.write(safetensorsBytes(header, data: data))
        let file = try SafetensorsFile(path: path, access: access)
        for (axes, rows) in [(0, 1), (1, 2), (2, 6), (3, 24)] {
            let matrix = try file.operand(of: "x", leadingAxes: axes)
            #expect((matrix.rows, matrix.columns) == (rows, 24 / rows))
            #expect(matrix[rows - 1, 24 / rows - 1] == 23)
        }
        let second = try file.operand(of: "x", slice: 1)
        #expect((second.rows, second.columns, second[0, 0], second[2, 3]) == (3, 4, 12, 23))

        func rule(_ body: () throws -> MatrixOperand) -> SafetensorsRule? {
            #expect(throws: SafetensorsError.self) { _ = try body() }?.rule
        }
        #expect(rule { try file.operand(of: "x") } == .notMatrix(shape: [2, 3, 4]))
        #expect(rule { try file.operand(of: "x", leadingAxes: 4) } == .notMatrix(shape: [2, 3, 4]))
        #expect(rule { try file.operand(of: "x", slice: 2) } == .notMatrix(shape: [2, 3, 4]))
        #expect(rule { try file.operand(of: "n") } == .notNumbers(dtype: .i32))
        #expect(rule { try file.operand(of: "none") } == .noSuchTensor)
        #expect(try file.bytes(of: "n").array(of: Int32.self) == [-7])
    }

    @Test("numbers outlive their file, and pages that were dropped are read again", arguments: accesses)
    func keepsMemory(access: SafetensorsFile.Access) throws {
        let count = 100_000
        let header = #"{"x":{"dtype":"F32","shape":[100000],"data_offsets":[0,400000]}}"#
        let folder = try TemporaryFolder()
        let path = try folder.write(safetensorsBytes(header, data: littleEndianBytes((0..<count).map { Float($0) })))
        func row() throws -> MatrixOperand {
            let file = try SafetensorsFile(path: path, access: access)
            file.prefetch("x")
            let row = try file.operand(of: "x")
            #expect(row[0, count - 1] == Double(count - 1))
            file.dropPages(of: "x")
            return row
        }
        let kept = try row()
        #expect((0..<count).allSatisfy { kept[0, $0] == Double($0) })
    }

    @Test("names that differ only in their bytes are different tensors")
    func comparesNames() throws {
        let header =
            "{\"\u{e9}\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            + "\"e\u{301}\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}"
        let folder = try TemporaryFolder()
        let file = try SafetensorsFile(path: folder.write(safetensorsBytes(header, data: [1, 2])))
        #expect(try file.bytes(of: "\u{e9}").array(of: UInt8.self) == [1])
        #expect(try file.bytes(of: "e\u{301}").array(of: UInt8.self) == [2])
    }

    @Test("a real checkpoint is read the same way both ways", .enabled(if: SharedData.isPresent, "needs shared/data"))
    func readsRealFile() throws {
        let path = SharedData.path("stories260K/model.safetensors")
        let mapped = try SafetensorsFile(path: path)
        let read = try SafetensorsFile(path: path, access: .read)
        #expect(mapped.tensors == read.tensors)
        #expect(mapped.tensor(named: "model.embed_tokens.weight")?.shape == [512, 64])
        for tensor in mapped.tensors {
            #expect(
                try mapped.bytes(of: tensor.name).array(of: UInt32.self)
                    == read.bytes(of: tensor.name).array(of: UInt32.self))
        }
    }
}
