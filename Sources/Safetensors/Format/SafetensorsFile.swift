import MatrixCore
import Synchronization

/// A safetensors file opened for reading: its header, checked in full, and its tensors' bytes.
///
/// ```swift
/// let file = try SafetensorsFile(path: "model.safetensors")
/// for tensor in file.tensors { print(tensor.name, tensor.dtype, tensor.shape) }
/// let weight = try file.operand(of: "lm_head.weight")   // no copy
/// file.dropPages(of: "lm_head.weight")
/// ```
///
/// Opening reads the header only. Data that does not stand at a multiple of its element size is copied when asked for.
/// Numbers in the file are little-endian, as on every machine that this program is built for.
public final class SafetensorsFile: Sendable {
    /// How tensor bytes are reached.
    public enum Access: Sendable {
        /// Through pages mapped into memory: no copy, and the system drops pages when it needs memory.
        case mapped
        /// Read into memory of their own, one tensor at a time; for file systems where mapping is slow or unsafe.
        case read

        /// What is taken where nothing else is said; set once at start (`--no-mmap`).
        public static var usual: Access {
            get { isReading.load(ordering: .relaxed) ? .read : .mapped }
            set { isReading.store(newValue == .read, ordering: .relaxed) }
        }

        private static let isReading = Atomic(false)
    }

    public let path: String
    /// Size of the file.
    public let byteCount: Int
    public let metadata: [String: String]
    /// In the order of their data.
    public let tensors: [TensorInfo]

    private let file: OpenFile
    private let mapping: MappedFile?
    private let positions: [UTF8Key: Int]

    /// - Throws: `SafetensorsError` where the file cannot be read or breaks a rule of the format.
    public init(path: String, access: Access = .usual) throws(SafetensorsError) {
        do {
            file = try OpenFile(path: path)
            mapping = access == .mapped ? try file.mapped() : nil
        } catch {
            throw SafetensorsError(file: path, .file(error))
        }
        self.path = path
        byteCount = file.byteCount
        let header = try Self.header(of: file)
        metadata = header.metadata
        tensors = header.tensors
        positions = Dictionary(uniqueKeysWithValues: header.tensors.enumerated().map { (UTF8Key($1.name), $0) })
    }

    private static func header(of file: OpenFile) throws(SafetensorsError) -> SafetensorsHeader {
        let lengthBytes = SafetensorsHeader.lengthBytes
        let prefix = try read(0..<min(lengthBytes, file.byteCount), of: file)
        let length = try SafetensorsHeader.length(
            from: UnsafeRawBufferPointer(start: prefix.base, count: prefix.count), file: file.path,
            fileBytes: file.byteCount)
        let bytes = try read(lengthBytes..<lengthBytes + length, of: file)
        return try SafetensorsHeader(
            UnsafeRawBufferPointer(start: bytes.base, count: length), file: file.path, fileBytes: file.byteCount)
    }

    private static func read(
        _ range: Range<Int>, of file: OpenFile, tensor: String? = nil
    ) throws(SafetensorsError) -> AlignedBuffer<UInt8> {
        do {
            return try file.bytes(in: range)
        } catch {
            throw SafetensorsError(file: file.path, tensor: tensor, .file(error))
        }
    }

    /// What the header says about a tensor; nil where there is none of that name.
    public func tensor(named name: String) -> TensorInfo? {
        positions[UTF8Key(name)].map { tensors[$0] }
    }

    /// The bytes of a tensor, at an address that its elements can be read from.
    public func bytes(of name: String) throws(SafetensorsError) -> TensorBytes {
        let tensor = try existing(name)
        return try bytes(in: tensor.byteRange, of: tensor)
    }

    /// Some bytes of a tensor, counted from its first; in `.read` access only they are read.
    public func bytes(of name: String, in range: Range<Int>) throws(SafetensorsError) -> TensorBytes {
        let tensor = try existing(name)
        precondition(range.lowerBound >= 0 && range.upperBound <= tensor.byteCount, "bytes outside of the tensor")
        let start = tensor.byteRange.lowerBound
        return try bytes(in: start + range.lowerBound..<start + range.upperBound, of: tensor)
    }

    /// A tensor of numbers as a matrix.
    ///
    /// - Parameter leadingAxes: how many axes are folded into rows, the others into columns. Without it the tensor must
    ///   be a matrix, a vector (one row) or a single number.
    /// - Throws: `.noSuchTensor`, `.notNumbers`, `.notMatrix`, or `.file` in `.read` access.
    public func operand(of name: String, leadingAxes: Int? = nil) throws(SafetensorsError) -> MatrixOperand {
        let tensor = try existing(name)
        guard leadingAxes.map({ (0...tensor.shape.count).contains($0) }) ?? (tensor.shape.count <= 2) else {
            throw SafetensorsError(file: path, tensor: name, .notMatrix(shape: tensor.shape))
        }
        let axes = leadingAxes ?? max(tensor.shape.count - 1, 0)
        return try operand(
            in: tensor.byteRange, of: tensor, rowAxes: tensor.shape[..<axes], columnAxes: tensor.shape[axes...])
    }

    /// One matrix of a stack (count × rows × columns), such as one expert; only its bytes are read.
    public func operand(of name: String, slice index: Int) throws(SafetensorsError) -> MatrixOperand {
        let tensor = try existing(name)
        guard tensor.shape.count == 3, (0..<tensor.shape[0]).contains(index) else {
            throw SafetensorsError(file: path, tensor: name, .notMatrix(shape: tensor.shape))
        }
        let sliceBytes = tensor.byteCount / tensor.shape[0]
        let start = tensor.byteRange.lowerBound + index * sliceBytes
        return try operand(
            in: start..<start + sliceBytes, of: tensor, rowAxes: tensor.shape[1..<2], columnAxes: tensor.shape[2...])
    }

    /// Tells the system that a tensor is not needed any more, so that it keeps its pages for others.
    public func dropPages(of name: String) {
        if let tensor = tensor(named: name) { mapping?.dropPages(tensor.byteRange) }
    }

    /// Tells the system that a tensor will be read soon.
    public func prefetch(_ name: String) {
        guard let tensor = tensor(named: name) else { return }
        if let mapping { mapping.prefetch(tensor.byteRange) } else { file.prefetch(tensor.byteRange) }
    }

    private func existing(_ name: String) throws(SafetensorsError) -> TensorInfo {
        guard let tensor = tensor(named: name) else { throw SafetensorsError(file: path, tensor: name, .noSuchTensor) }
        return tensor
    }

    private func operand(
        in range: Range<Int>, of tensor: TensorInfo, rowAxes: ArraySlice<Int>, columnAxes: ArraySlice<Int>
    ) throws(SafetensorsError) -> MatrixOperand {
        guard let type = tensor.dtype.elementType else {
            throw SafetensorsError(file: path, tensor: tensor.name, .notNumbers(dtype: tensor.dtype))
        }
        let bytes = try bytes(in: range, of: tensor)
        let columns = columnAxes.reduce(1, *)
        return MatrixOperand(
            base: bytes.base, type: type, rows: rowAxes.reduce(1, *), columns: columns, rowStride: columns,
            owner: bytes.owner)
    }

    private func bytes(in range: Range<Int>, of tensor: TensorInfo) throws(SafetensorsError) -> TensorBytes {
        if let mapping, range.lowerBound.isMultiple(of: tensor.dtype.alignment) {
            return TensorBytes(base: mapping.base + range.lowerBound, count: range.count, owner: mapping)
        }
        let copy = try Self.read(range, of: file, tensor: tensor.name)
        return TensorBytes(base: UnsafeRawPointer(copy.base), count: range.count, owner: copy)
    }
}

/// The bytes of one tensor; `owner` keeps them alive.
public struct TensorBytes: @unchecked Sendable {
    public let base: UnsafeRawPointer
    public let count: Int
    public let owner: AnyObject

    /// The bytes as an array of numbers; as many as fit.
    public func array<Number: BitwiseCopyable>(of type: Number.Type) -> [Number] {
        withExtendedLifetime(owner) {
            (0..<count / MemoryLayout<Number>.stride).map {
                base.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Number>.stride, as: type)
            }
        }
    }

    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(owner) {} }
        return try body(UnsafeRawBufferPointer(start: base, count: count))
    }
}
