/// The upper half of an IEEE single: 8 exponent bits, 7 mantissa bits.
@frozen
public struct BFloat16: Equatable, Sendable, BitwiseCopyable {
    public var bitPattern: UInt16

    @inlinable
    public init(bitPattern: UInt16) {
        self.bitPattern = bitPattern
    }

    /// The nearest number, ties to even; NaN stays NaN (quiet, sign kept), overflow becomes infinity.
    @inlinable
    public init(_ value: Float) {
        let bits = value.bitPattern
        if value.isNaN {
            bitPattern = UInt16(truncatingIfNeeded: bits >> 16) | 0x0040
        } else {
            bitPattern = UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
        }
    }

    @inlinable
    public var float: Float {
        Float(bitPattern: UInt32(bitPattern) << 16)
    }
}

/// IEEE half precision: 5 exponent bits, 10 mantissa bits.
///
/// Swift's `Float16` is missing on macOS for Intel; this type is the same everywhere.
@frozen
public struct Half: Equatable, Sendable, BitwiseCopyable {
    public var bitPattern: UInt16

    @inlinable
    public init(bitPattern: UInt16) {
        self.bitPattern = bitPattern
    }

    /// The nearest number, ties to even; NaN stays NaN (quiet, sign kept), overflow becomes infinity.
    @inlinable
    public init(_ value: Float) {
        let bits = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: (bits >> 16) & 0x8000)
        let magnitude = bits & 0x7FFF_FFFF
        if magnitude > 0x7F80_0000 {
            bitPattern = sign | 0x7E00 | UInt16(truncatingIfNeeded: (magnitude >> 13) & 0x1FF)
        } else if magnitude >= 0x477F_F000 {
            bitPattern = sign | 0x7C00  // from 65520 on: infinity
        } else if magnitude >= 0x3880_0000 {
            let rounded = magnitude &+ 0xFFF &+ ((magnitude >> 13) & 1)
            bitPattern = sign | UInt16(truncatingIfNeeded: (rounded &- 0x3800_0000) >> 13)
        } else {
            // Subnormal: adding ½ puts the wanted bits last, and the addition rounds to even.
            let shifted = Float(bitPattern: magnitude) + 0.5
            bitPattern = sign | UInt16(truncatingIfNeeded: shifted.bitPattern &- 0x3F00_0000)
        }
    }

    @inlinable
    public var float: Float {
        let sign = UInt32(bitPattern & 0x8000) << 16
        let magnitude = UInt32(bitPattern & 0x7FFF) << 13
        if magnitude >= 0x0F80_0000 {  // infinity, NaN
            return Float(bitPattern: sign | 0x7F80_0000 | (magnitude & 0x007F_FFFF))
        }
        // 2^112 moves the exponent's bias from 15 to 127 and normalises subnormals.
        let value = Float(bitPattern: magnitude) * 0x1p112
        return Float(bitPattern: sign | value.bitPattern)
    }
}
