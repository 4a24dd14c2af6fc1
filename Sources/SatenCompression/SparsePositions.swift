import CompressionCore
import MatrixCore
import Safetensors

/// Where the entries of a sparse matrix (m × n) stand: row by row, columns ascending.
struct SparsePositions: Sendable, Equatable {
    let rows: Int
    let columns: Int
    /// (m + 1): the entries of row i are offsets[i] ..< offsets[i + 1].
    var offsets: [Int]
    var positions: [UInt32]

    var count: Int { positions.count }
}

/// How positions are stored. The shape and the number of entries alone decide, so that sizes are known beforehand.
enum PositionLayout: Sendable, Equatable {
    /// `sparse.bitmap`: a bit for every place of the matrix, row by row, the first in the lowest bit of a byte.
    case bitmap
    /// `sparse.columns`: for every entry the distance to the one before it in its row, or to column 0; and
    /// `sparse.offsets`: where the entries of each row start, and their number.
    case deltas
    /// `sparse.index`: for 2:4 the place of every entry in its group, in two bits, the first in the lowest bits of a
    /// byte.
    case pairs

    init(_ pattern: SatenPattern, rows: Int, columns: Int, entries: Int) {
        if pattern == .groups(kept: 2, of: 4) {
            self = .pairs
            return
        }
        // A distance has 16 bits and an offset 31.
        let fits = columns <= 1 << 16 && entries <= Int(Int32.max)
        let bitmap = Self.bitmapBytes(rows, columns)
        let deltas = 2 * entries + 4 * (rows + 1)
        self = fits && deltas < bitmap ? .deltas : .bitmap
    }

    static func bitmapBytes(_ rows: Int, _ columns: Int) -> Int { (rows * columns + 7) / 8 }

    func planned(rows: Int, columns: Int, entries: Int) -> [PlannedTensor] {
        switch self {
        case .bitmap:
            [PlannedTensor("sparse.bitmap", .u8, [Self.bitmapBytes(rows, columns)], isIndex: true)]
        case .deltas:
            [
                PlannedTensor("sparse.columns", .u16, [entries], isIndex: true),
                PlannedTensor("sparse.offsets", .i32, [rows + 1], isIndex: true),
            ]
        case .pairs:
            [PlannedTensor("sparse.index", .u8, [(entries + 3) / 4], isIndex: true)]
        }
    }

    // MARK: Writing

    func tensors(of entries: SparsePositions) -> [OperatorTensor] {
        switch self {
        case .bitmap:
            return [OperatorTensor("sparse.bitmap", StoredTensor(Self.bitmap(entries), dtype: .u8), isIndex: true)]
        case .deltas:
            let offsets = entries.offsets.map { Int32($0) }
            return [
                OperatorTensor("sparse.columns", StoredTensor(Self.distances(entries), dtype: .u16), isIndex: true),
                OperatorTensor("sparse.offsets", StoredTensor(offsets, dtype: .i32), isIndex: true),
            ]
        case .pairs:
            return [OperatorTensor("sparse.index", StoredTensor(Self.pairs(entries), dtype: .u8), isIndex: true)]
        }
    }

    private static func bitmap(_ entries: SparsePositions) -> [UInt8] {
        var bits = [UInt8](repeating: 0, count: bitmapBytes(entries.rows, entries.columns))
        for row in 0..<entries.rows {
            for entry in entries.offsets[row]..<entries.offsets[row + 1] {
                let place = row * entries.columns + Int(entries.positions[entry])
                bits[place / 8] |= 1 << UInt8(place % 8)
            }
        }
        return bits
    }

    private static func distances(_ entries: SparsePositions) -> [UInt16] {
        var distances = [UInt16](repeating: 0, count: entries.count)
        for row in 0..<entries.rows {
            var last: UInt32 = 0
            for entry in entries.offsets[row]..<entries.offsets[row + 1] {
                distances[entry] = UInt16(entries.positions[entry] - last)
                last = entries.positions[entry]
            }
        }
        return distances
    }

    private static func pairs(_ entries: SparsePositions) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: (entries.count + 3) / 4)
        for (entry, position) in entries.positions.enumerated() {
            bytes[entry / 4] |= UInt8(position % 4) << UInt8(entry % 4 * 2)
        }
        return bytes
    }
}
