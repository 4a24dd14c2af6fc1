import CompressionCore
import MatrixCore
import Safetensors

extension SparsePositions {
    /// Reads the positions of `count` entries of a matrix (rows × columns) from whichever tensors hold them.
    ///
    /// - Throws: `OperatorError.badIndex` where they are out of range, double, out of order, of another number or
    ///   against the pattern.
    init(
        reading source: OperatorSource, _ pattern: SatenPattern, size: (rows: Int, columns: Int), count: Int
    ) throws(OperatorError) {
        self.init(rows: size.rows, columns: size.columns, offsets: [0], positions: [])
        positions.reserveCapacity(count)
        if pattern == .groups(kept: 2, of: 4) {
            try readPairs(Self.bytes("sparse.index", (count + 3) / 4, source), count, source)
        } else if let bitmap = try Self.bitmap(source, PositionLayout.bitmapBytes(rows, columns)) {
            try readBitmap(bitmap, count, source)
        } else {
            try readDistances(count, source)
        }
        if case .groups(let kept, let size) = pattern { try checkGroups(kept, size, source) }
    }

    private static func bytes(
        _ name: String, _ count: Int, _ source: OperatorSource
    ) throws(OperatorError) -> [UInt8] {
        try words(name, .u8, count, source).array(of: UInt8.self)
    }

    private static func words(
        _ name: String, _ dtype: TensorDType, _ count: Int, _ source: OperatorSource
    ) throws(OperatorError) -> StoredTensor {
        let tensor = try source.tensor(name)
        guard tensor.dtype == dtype else {
            throw .wrongType("\(source.module).\(name)", expected: dtype.rawValue, found: tensor.dtype.rawValue)
        }
        guard tensor.shape == [count] else {
            throw .wrongShape("\(source.module).\(name)", expected: "[\(count)]", found: tensor.shape)
        }
        return tensor
    }

    /// nil where the checkpoint has no bitmap for the module.
    private static func bitmap(_ source: OperatorSource, _ count: Int) throws(OperatorError) -> [UInt8]? {
        do {
            return try bytes("sparse.bitmap", count, source)
        } catch .missingTensor {
            return nil
        } catch {
            throw error
        }
    }

    private mutating func readBitmap(
        _ bits: [UInt8], _ count: Int, _ source: OperatorSource
    ) throws(OperatorError) {
        let name = "\(source.module).sparse.bitmap"
        for row in 0..<rows {
            for column in 0..<columns {
                let place = row * columns + column
                if bits[place / 8] >> UInt8(place % 8) & 1 == 1 { positions.append(UInt32(column)) }
            }
            offsets.append(positions.count)
        }
        guard positions.count == count else {
            throw .badIndex(name, "\(positions.count) bits are set for \(count) values")
        }
        let used = rows * columns % 8
        if used > 0, let last = bits.last, last >> UInt8(used) != 0 {
            throw .badIndex(name, "bits behind the last place of the matrix are set")
        }
    }

    private mutating func readDistances(_ count: Int, _ source: OperatorSource) throws(OperatorError) {
        let distances = try Self.words("sparse.columns", .u16, count, source).array(of: UInt16.self)
        let starts = try Self.words("sparse.offsets", .i32, rows + 1, source).array(of: Int32.self)
        guard starts.first == 0, starts.last == Int32(exactly: count),
            zip(starts, starts.dropFirst()).allSatisfy({ $0 <= $1 })
        else {
            throw .badIndex("\(source.module).sparse.offsets", "they do not ascend from 0 to \(count)")
        }
        offsets = starts.map { Int($0) }
        for row in 0..<rows {
            var column = 0
            for entry in offsets[row]..<offsets[row + 1] {
                let distance = Int(distances[entry])
                column += distance
                guard column < columns, distance > 0 || entry == offsets[row] else {
                    throw .badIndex(
                        "\(source.module).sparse.columns",
                        "row \(row) has column \(column) of \(columns)\(distance == 0 ? " twice" : "")")
                }
                positions.append(UInt32(column))
            }
        }
    }

    private mutating func readPairs(
        _ bytes: [UInt8], _ count: Int, _ source: OperatorSource
    ) throws(OperatorError) {
        for row in 0..<rows {
            for place in 0..<columns / 2 {
                let entry = row * (columns / 2) + place
                positions.append(UInt32(place / 2 * 4) + UInt32(bytes[entry / 4] >> UInt8(entry % 4 * 2) & 3))
            }
            offsets.append(positions.count)
        }
        let used = count % 4 * 2
        if used > 0, let last = bytes.last, last >> UInt8(used) != 0 {
            throw .badIndex("\(source.module).sparse.index", "bits behind the last value are set")
        }
    }

    /// Every group of `size` columns has `kept` entries, none of them twice.
    private func checkGroups(_ kept: Int, _ size: Int, _ source: OperatorSource) throws(OperatorError) {
        for row in 0..<rows {
            for group in 0..<columns / size {
                let first = offsets[row] + group * kept
                let entries = first + kept <= offsets[row + 1] ? positions[first..<first + kept] : []
                guard entries.count == kept, entries.allSatisfy({ Int($0) / size == group }),
                    zip(entries, entries.dropFirst()).allSatisfy({ $0 < $1 })
                else {
                    throw .badIndex(
                        "\(source.module).sparse",
                        "row \(row) does not have \(kept) places in group \(group) of \(size)")
                }
            }
        }
    }
}
