import Kernels
import MatrixCore
import Safetensors

/// A tensor as it stands in a checkpoint: type, shape and bytes, without gaps, row-major.
///
/// Operators hold their factors like this, in the type they are stored in, whether they were just computed or are
/// mapped from a file; kernels widen them when they multiply.
public struct StoredTensor: @unchecked Sendable {
    public let dtype: TensorDType
    public let shape: [Int]
    public let base: UnsafeRawPointer
    public let byteCount: Int
    public let owner: AnyObject?

    public init(dtype: TensorDType, shape: [Int], bytes: TensorBytes) {
        self.dtype = dtype
        self.shape = shape
        base = bytes.base
        byteCount = bytes.count
        owner = bytes.owner
    }

    private init<Element>(dtype: TensorDType, shape: [Int], buffer: AlignedBuffer<Element>, bytes: Int) {
        self.dtype = dtype
        self.shape = shape
        base = UnsafeRawPointer(buffer.base)
        byteCount = bytes
        owner = buffer
    }

    /// A matrix rounded to `type`, to nearest even.
    /// - Parameter shape: axes in place of the matrix's two, with as many elements.
    public init(_ matrix: MatrixOperand, as type: ElementType, shape: [Int]? = nil) {
        let shape = shape ?? [matrix.rows, matrix.columns]
        precondition(shape.reduce(1, *) == matrix.rows * matrix.columns, "the shape has another number of elements")
        let bytes = matrix.rows * matrix.columns * type.bytes
        let buffer = AlignedBuffer<UInt8>(uninitializedCount: bytes)
        convert(
            matrix,
            into: MutableMatrixOperand(
                base: UnsafeMutableRawPointer(buffer.base), type: type, rows: matrix.rows, columns: matrix.columns,
                rowStride: matrix.columns, owner: buffer))
        self.init(dtype: TensorDType(type), shape: shape, buffer: buffer, bytes: bytes)
    }

    /// Whole numbers, such as pivot rows or offsets.
    public init<Number: BitwiseCopyable>(_ numbers: [Number], dtype: TensorDType, shape: [Int]? = nil) {
        let buffer = AlignedBuffer<Number>(uninitializedCount: numbers.count)
        for (index, number) in numbers.enumerated() { buffer.base[index] = number }
        self.init(
            dtype: dtype, shape: shape ?? [numbers.count], buffer: buffer,
            bytes: numbers.count * MemoryLayout<Number>.stride)
    }

    public var elementCount: Int { shape.reduce(1, *) }

    /// The numbers as a matrix whose rows run over the first `axes` axes; no copy. Nil for types that are no numbers to
    /// compute with.
    public func operand(leadingAxes axes: Int = 1) -> MatrixOperand? {
        guard let type = dtype.elementType, axes <= shape.count else { return nil }
        let rows = shape[..<axes].reduce(1, *)
        let columns = shape[axes...].reduce(1, *)
        return MatrixOperand(base: base, type: type, rows: rows, columns: columns, rowStride: columns, owner: owner)
    }

    /// The elements as plain numbers of a type of the same width.
    public func array<Number: BitwiseCopyable>(of type: Number.Type) -> [Number] {
        withExtendedLifetime(owner) {
            (0..<byteCount / MemoryLayout<Number>.stride).map {
                base.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Number>.stride, as: type)
            }
        }
    }

    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        defer { withExtendedLifetime(owner) {} }
        return try body(UnsafeRawBufferPointer(start: base, count: byteCount))
    }
}
