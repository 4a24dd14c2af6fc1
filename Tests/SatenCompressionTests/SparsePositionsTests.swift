import CompressionCore
import MatrixCore
import Safetensors
import Testing

@testable import SatenCompression

@Suite struct SparsePositionsTests {
    /// Reads what a set of tensors says; names as in the checkpoint.
    private func read(
        _ tensors: [String: StoredTensor], _ pattern: SatenPattern, _ size: (rows: Int, columns: Int), _ count: Int
    ) throws -> SparsePositions {
        let source = OperatorSource(module: "m", entry: [:]) { tensors[$0] }
        return try SparsePositions(reading: source, pattern, size: size, count: count)
    }

    private func random(rows: Int, columns: Int, density: Double) -> SparsePositions {
        var entries = SparsePositions(rows: rows, columns: columns, offsets: [0], positions: [])
        for row in 0..<rows {
            for column in 0..<columns where CounterRandom(seed: 4).uniform(row * columns + column) < density {
                entries.positions.append(UInt32(column))
            }
            entries.offsets.append(entries.count)
        }
        return entries
    }

    @Test(arguments: [(1, 1), (7, 9), (8, 8), (3, 70_000)], [0.0, 0.02, 0.5, 1])
    func bothLayoutsReadBack(size: (rows: Int, columns: Int), density: Double) throws {
        let entries = random(rows: size.rows, columns: size.columns, density: density)
        for layout in [PositionLayout.bitmap, .deltas] where layout == .bitmap || size.columns <= 1 << 16 {
            let tensors = Dictionary(
                uniqueKeysWithValues: layout.tensors(of: entries).map { ($0.fullName(in: "m"), $0.tensor) })
            #expect(try read(tensors, .topk, size, entries.count) == entries)
            let planned = layout.planned(rows: size.rows, columns: size.columns, entries: entries.count)
            #expect(planned.map(\.byteCount) == layout.tensors(of: entries).map(\.tensor.byteCount))
            #expect(planned.map(\.shape) == layout.tensors(of: entries).map(\.tensor.shape))
        }
    }

    /// Worked out by hand: columns 1 and 3 of row 0, 0 and 2 of row 1, of 2 × 4.
    @Test func theBitsAreWhereTheFormatSaysTheyAre() {
        let entries = SparsePositions(rows: 2, columns: 4, offsets: [0, 2, 4], positions: [1, 3, 0, 2])
        #expect(PositionLayout.bitmap.tensors(of: entries)[0].tensor.array(of: UInt8.self) == [0b0101_1010])
        #expect(PositionLayout.pairs.tensors(of: entries)[0].tensor.array(of: UInt8.self) == [0b1000_1101])
        let deltas = PositionLayout.deltas.tensors(of: entries)
        #expect(deltas[0].tensor.array(of: UInt16.self) == [1, 2, 0, 2])
        #expect(deltas[1].tensor.array(of: Int32.self) == [0, 2, 4])
    }

    @Test func theSmallerLayoutIsTaken() {
        #expect(PositionLayout(.topk, rows: 64, columns: 64, entries: 125) == .deltas)  // 2·125 + 4·65 = 510 < 512
        #expect(PositionLayout(.topk, rows: 64, columns: 64, entries: 126) == .bitmap)
        #expect(PositionLayout(.groups(kept: 1, of: 64), rows: 640, columns: 640, entries: 6400) == .deltas)
        #expect(PositionLayout(.groups(kept: 2, of: 4), rows: 64, columns: 64, entries: 2048) == .pairs)
        // A distance of 70 000 columns has no room in 16 bits.
        #expect(PositionLayout(.topk, rows: 64, columns: 70_000, entries: 10) == .bitmap)
    }

    @Test func malformedPositionsAreErrors() {
        let size = (rows: 2, columns: 6)
        func bytes(_ values: [UInt8]) -> StoredTensor { StoredTensor(values, dtype: .u8) }
        func csr(_ columns: [UInt16], _ offsets: [Int32]) -> [String: StoredTensor] {
            [
                "m.sparse.columns": StoredTensor(columns, dtype: .u16),
                "m.sparse.offsets": StoredTensor(offsets, dtype: .i32),
            ]
        }
        let cases: [(String, [String: StoredTensor])] = [
            ("another number of bits", ["m.sparse.bitmap": bytes([0b1111, 0])]),
            ("bits behind the end", ["m.sparse.bitmap": bytes([0b11, 0b0001_0001])]),
            ("a short bitmap", ["m.sparse.bitmap": bytes([0b11])]),
            (
                "a bitmap of another type",
                ["m.sparse.bitmap": StoredTensor([Int32](repeating: 1, count: 2), dtype: .i32)]
            ),
            ("no positions at all", [:]),
            ("no offsets", ["m.sparse.columns": StoredTensor([UInt16](repeating: 1, count: 3), dtype: .u16)]),
            ("a column twice", csr([1, 0, 2], [0, 2, 3])),
            ("a column beyond the end", csr([1, 5, 2], [0, 2, 3])),
            ("offsets that fall", csr([1, 1, 2], [0, 4, 3])),
            ("offsets that do not start at 0", csr([1, 1, 2], [1, 2, 3])),
            ("offsets of another number", csr([1, 1, 2], [0, 2, 4])),
            ("negative offsets", csr([1, 1, 2], [0, -2, 3])),
            ("offsets of other rows", csr([1, 1, 2], [0, 3])),
        ]
        for (name, tensors) in cases {
            #expect(throws: OperatorError.self, "\(name)") { _ = try read(tensors, .topk, size, 3) }
        }
        #expect(throws: Never.self) { _ = try read(csr([1, 4, 2], [0, 2, 3]), .topk, size, 3) }
    }

    @Test func malformedGroupsAreErrors() {
        func index(_ values: [UInt8]) -> [String: StoredTensor] { ["m.sparse.index": StoredTensor(values, dtype: .u8)] }
        let size = (rows: 1, columns: 4)
        #expect(throws: Never.self) { _ = try read(index([0b1100]), .groups(kept: 2, of: 4), size, 2) }
        for byte in [0b0101, 0b0011, 0b1_1100] as [UInt8] {
            #expect(throws: OperatorError.self) { _ = try read(index([byte]), .groups(kept: 2, of: 4), size, 2) }
        }
        let bits = ["m.sparse.bitmap": StoredTensor([UInt8(0b11)], dtype: .u8)]
        #expect(throws: OperatorError.self) { _ = try read(bits, .groups(kept: 1, of: 2), size, 2) }
    }

    @Test(arguments: ["", "top", "2:", ":4", "4:2", "4:4", "0:4", "2:4:8", "-1:4", "02:4", " 2:4"])
    func patternsThatMakeNoSenseAreNone(text: String) {
        #expect(SatenPattern(text) == nil)
    }

    @Test(arguments: ["topk", "2:4", "1:16"])
    func patternsReadBack(text: String) {
        #expect(SatenPattern(text)?.text == text)
    }
}
