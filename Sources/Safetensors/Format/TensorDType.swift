import MatrixCore

/// Every element type of the safetensors format, smallest alignment first.
///
/// The order is that of the reference library, which lays out a file by it (largest first). Types below one byte are
/// counted in bits; a tensor of them must still fill whole bytes.
///
/// - Source: the `Dtype` list of the safetensors library, version 0.8.
public enum TensorDType: String, Sendable, CaseIterable {
    case bool = "BOOL"
    case f4 = "F4"
    case f6e2m3 = "F6_E2M3"
    case f6e3m2 = "F6_E3M2"
    case u8 = "U8"
    case i8 = "I8"
    case f8e5m2 = "F8_E5M2"
    case f8e4m3 = "F8_E4M3"
    case f8e8m0 = "F8_E8M0"
    case f8e4m3fnuz = "F8_E4M3FNUZ"
    case f8e5m2fnuz = "F8_E5M2FNUZ"
    case i16 = "I16"
    case u16 = "U16"
    case f16 = "F16"
    case bf16 = "BF16"
    case i32 = "I32"
    case u32 = "U32"
    case f32 = "F32"
    case c64 = "C64"
    case f64 = "F64"
    case i64 = "I64"
    case u64 = "U64"

    public init(_ type: ElementType) {
        switch type {
        case .float64: self = .f64
        case .float32: self = .f32
        case .float16: self = .f16
        case .bfloat16: self = .bf16
        }
    }

    /// Bits of one element.
    public var bits: Int {
        switch self {
        case .f4: 4
        case .f6e2m3, .f6e3m2: 6
        case .bool, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz: 8
        case .i16, .u16, .f16, .bf16: 16
        case .i32, .u32, .f32: 32
        case .c64, .f64, .i64, .u64: 64
        }
    }

    /// The address that an element must stand at is a multiple of this.
    var alignment: Int {
        switch self {
        case .c64: 4
        default: max(bits / 8, 1)
        }
    }

    /// The type that kernels read it as; nil for types that are only carried along.
    public var elementType: ElementType? {
        switch self {
        case .f64: .float64
        case .f32: .float32
        case .f16: .float16
        case .bf16: .bfloat16
        default: nil
        }
    }

    /// Place in the order of the format, small alignments first.
    var rank: Int { Self.ranks[self] ?? 0 }

    private static let ranks = Dictionary(uniqueKeysWithValues: zip(allCases, allCases.indices))

    /// Bytes of a tensor of this type.
    ///
    /// - Throws: `SafetensorsRule.sizeOverflow` where the number of bits does not fit `Int`, `.partialByte` where the
    ///   elements do not fill whole bytes.
    func byteCount(of shape: [Int]) throws(SafetensorsRule) -> Int {
        var bits = self.bits
        // Empty sides are left out, so that no product of sides can overflow, empty tensor or not.
        for side in shape where side != 0 {
            let (product, overflow) = bits.multipliedReportingOverflow(by: side)
            if overflow { throw .sizeOverflow(dtype: self, shape: shape) }
            bits = product
        }
        if shape.contains(0) { return 0 }
        guard bits % 8 == 0 else { throw .partialByte(dtype: self, shape: shape) }
        return bits / 8
    }
}
