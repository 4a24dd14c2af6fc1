import MatrixCore

/// A tensor that a file will hold.
public struct TensorDeclaration: Equatable, Sendable {
    public let name: String
    public let dtype: TensorDType
    public let shape: [Int]

    public init(name: String, dtype: TensorDType, shape: [Int]) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
    }

    /// - Throws: `.sizeOverflow` or `.partialByte`.
    public var byteCount: Int {
        get throws(SafetensorsRule) { try dtype.byteCount(of: shape) }
    }
}

/// Writes a safetensors file whose tensors are all known, and whose bytes come later, in any order.
///
/// The same tensors give the same bytes: data is laid out as the reference library does it, by dtype from the largest
/// alignment to the smallest (the reverse order of `TensorDType`), then by name in the order of UTF-8 bytes. The header
/// is compact JSON in that order, `__metadata__` first, padded with spaces to a multiple of 8 bytes, so that every
/// element stands at a multiple of its size. Memory does not grow with the file. The file appears under its name when
/// `finish` has forced it to the disk.
///
/// ```swift
/// let writer = try SafetensorsWriter(path: path, tensors: declarations)
/// for tensor in writer.layout { try writer.append(bytes(of: tensor), to: tensor.name) }
/// try writer.finish()
/// ```
public final class SafetensorsWriter {
    public let path: String
    /// The tensors in the order of their data, with their place in the file.
    public let layout: [TensorInfo]
    /// Size of the finished file.
    public let byteCount: Int

    private let file: AtomicFile
    private let positions: [UTF8Key: Int]
    /// Bytes written so far, for each tensor of `layout`.
    private var written: [Int]

    /// Creates the file and writes its header.
    ///
    /// - Parameters:
    ///   - metadata: pairs that follow `"format": "pt"` in the header, in the order of their keys.
    ///   - durability: when the file is forced to the disk.
    /// - Throws: `.duplicateTensor`, `.reservedName`, `.sizeOverflow`, `.partialByte`, `.headerTooLong` or `.file`.
    public init(
        path: String, tensors: [TensorDeclaration], metadata: [String: String] = [:],
        durability: AtomicFile.Durability = .immediate
    ) throws(SafetensorsError) {
        let plan = try Self.plan(tensors, metadata: metadata, path: path)
        self.path = path
        layout = plan.layout
        byteCount = plan.byteCount
        written = [Int](repeating: 0, count: plan.layout.count)
        positions = Dictionary(uniqueKeysWithValues: plan.layout.enumerated().map { (UTF8Key($1.name), $0) })
        do {
            file = try AtomicFile(path: path, durability: durability)
            try plan.header.withUnsafeBufferPointer { [file] (bytes) throws(FileError) in
                try file.write(UnsafeRawBufferPointer(bytes), at: 0)
            }
        } catch {
            throw SafetensorsError(file: path, .file(error))
        }
    }

    /// The size that a file of these tensors would have.
    public static func byteCount(
        of tensors: [TensorDeclaration], metadata: [String: String] = [:]
    ) throws(SafetensorsError) -> Int {
        try plan(tensors, metadata: metadata, path: "").byteCount
    }

    /// Writes the next bytes of a tensor; a tensor may be written in pieces.
    public func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws(SafetensorsError) {
        guard let position = positions[UTF8Key(name)] else {
            throw SafetensorsError(file: path, tensor: name, .noSuchTensor)
        }
        let range = layout[position].byteRange
        guard written[position] + bytes.count <= range.count else {
            throw SafetensorsError(
                file: path, tensor: name, .wrongByteCount(expected: range.count, found: written[position] + bytes.count)
            )
        }
        do {
            try file.write(bytes, at: range.lowerBound + written[position])
        } catch {
            throw SafetensorsError(file: path, tensor: name, .file(error))
        }
        written[position] += bytes.count
    }

    /// Writes the bytes of a matrix without gaps, as they are in memory.
    public func append(_ matrix: MatrixOperand, to name: String) throws(SafetensorsError) {
        precondition(matrix.columnStride == 1 || matrix.columns <= 1, "rows must be without gaps")
        defer { withExtendedLifetime(matrix.owner) {} }
        let rowBytes = matrix.columns * matrix.type.bytes
        if matrix.rowStride == matrix.columns {
            return try append(UnsafeRawBufferPointer(start: matrix.base, count: matrix.rows * rowBytes), to: name)
        }
        for row in 0..<matrix.rows {
            let start = matrix.base + row * matrix.rowStride * matrix.type.bytes
            try append(UnsafeRawBufferPointer(start: start, count: rowBytes), to: name)
        }
    }

    /// Whether every byte has been written, so that `finish` may be called.
    public var isComplete: Bool {
        zip(layout, written).allSatisfy { $0.byteCount == $1 }
    }

    /// Checks that every byte has been written, forces the file to the disk, unless that is deferred,
    /// and gives it its name.
    public func finish() throws(SafetensorsError) {
        for (tensor, written) in zip(layout, written) where written < tensor.byteCount {
            throw SafetensorsError(file: path, tensor: tensor.name, .unwritten(bytes: tensor.byteCount - written))
        }
        do {
            try file.finish()
        } catch {
            throw SafetensorsError(file: path, .file(error))
        }
    }

    // MARK: Layout

    private struct Plan {
        let header: [UInt8]
        let layout: [TensorInfo]
        let byteCount: Int
    }

    private static func plan(
        _ tensors: [TensorDeclaration], metadata: [String: String], path: String
    ) throws(SafetensorsError) -> Plan {
        var names = Set<UTF8Key>()
        var header = JSONObject([("__metadata__", .object(pairs(metadata)))])
        var relative: [TensorInfo] = []
        var end = 0
        for tensor in order(of: tensors) {
            guard tensor.name != "__metadata__" else {
                throw SafetensorsError(file: path, tensor: tensor.name, .reservedName)
            }
            guard names.insert(UTF8Key(tensor.name)).inserted else {
                throw SafetensorsError(file: path, tensor: tensor.name, .duplicateTensor)
            }
            let range = try byteRange(of: tensor, from: end, path: path)
            end = range.upperBound
            relative.append(TensorInfo(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, byteRange: range))
            header[tensor.name] = [
                "dtype": JSON(tensor.dtype.rawValue), "shape": JSON(tensor.shape),
                "data_offsets": [JSON(range.lowerBound), JSON(range.upperBound)],
            ]
        }
        let bytes = try headerBytes(.object(header), path: path)
        let layout = relative.map {
            TensorInfo(
                name: $0.name, dtype: $0.dtype, shape: $0.shape,
                byteRange: bytes.count + $0.byteRange.lowerBound..<bytes.count + $0.byteRange.upperBound)
        }
        return Plan(header: bytes, layout: layout, byteCount: bytes.count + end)
    }

    /// The order of the data in a file.
    public static func order(of tensors: [TensorDeclaration]) -> [TensorDeclaration] {
        tensors.sorted {
            $0.dtype == $1.dtype ? $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) : $0.dtype.rank > $1.dtype.rank
        }
    }

    private static func pairs(_ metadata: [String: String]) -> JSONObject {
        var pairs = JSONObject([("format", "pt")])
        for key in metadata.keys.sorted() {
            pairs[key] = metadata[key].map { JSON($0) }
        }
        return pairs
    }

    private static func byteRange(
        of tensor: TensorDeclaration, from start: Int, path: String
    ) throws(SafetensorsError) -> Range<Int> {
        let count: Int
        do {
            count = try tensor.byteCount
        } catch {
            throw SafetensorsError(file: path, tensor: tensor.name, error)
        }
        let (end, overflow) = start.addingReportingOverflow(count)
        // Half of the range leaves room for the header in front.
        guard !overflow, end < Int.max / 2 else {
            throw SafetensorsError(
                file: path, tensor: tensor.name, .sizeOverflow(dtype: tensor.dtype, shape: tensor.shape))
        }
        return start..<end
    }

    /// The length, the object and its padding.
    private static func headerBytes(_ header: JSON, path: String) throws(SafetensorsError) -> [UInt8] {
        var text = Array(header.text(pretty: false).utf8)
        text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - text.count % 8) % 8))
        guard text.count <= SafetensorsHeader.lengthLimit else {
            throw SafetensorsError(
                file: path, .headerTooLong(bytes: UInt64(text.count), limit: SafetensorsHeader.lengthLimit))
        }
        return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
    }
}
