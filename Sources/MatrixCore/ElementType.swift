/// The number formats that a weight can be stored in and that the kernels can read.
///
/// `float16` and `bfloat16` are storage formats only: kernels widen them while packing, and arithmetic is done in
/// `float32` or `float64`.
public enum ElementType: String, Sendable, CaseIterable {
    case float64, float32, float16, bfloat16

    /// Bytes of one element.
    @inlinable
    public var bytes: Int {
        switch self {
        case .float64: 8
        case .float32: 4
        case .float16, .bfloat16: 2
        }
    }

    /// Distance from 1 to the next larger number.
    public var epsilon: Double {
        switch self {
        case .float64: 0x1p-52
        case .float32: 0x1p-23
        case .float16: 0x1p-10
        case .bfloat16: 0x1p-7
        }
    }
}

/// A number type that matrices are computed in.
public protocol MatrixElement: BinaryFloatingPoint, BitwiseCopyable, Sendable {
    static var elementType: ElementType { get }
}

extension Float: MatrixElement {
    @inlinable public static var elementType: ElementType { .float32 }
}

extension Double: MatrixElement {
    @inlinable public static var elementType: ElementType { .float64 }
}
