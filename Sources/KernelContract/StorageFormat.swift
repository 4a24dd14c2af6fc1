/// How a number is stored, as the integer that crosses the border to a kernel.
public enum StorageFormat {
    public static var float64: Int { 0 }
    public static var float32: Int { 1 }
    public static var bfloat16: Int { 2 }
    public static var float16: Int { 3 }
}

// Readers of one element, widened without loss. They live here so that every kernel file can inline them; nothing of
// them is left as a symbol.

@inlinable @inline(__always)
public func readFloat64(_ source: UnsafeRawPointer, _ index: Int) -> Double {
    source.assumingMemoryBound(to: Double.self)[index]
}

@inlinable @inline(__always)
public func readFloat32(_ source: UnsafeRawPointer, _ index: Int) -> Float {
    source.assumingMemoryBound(to: Float.self)[index]
}

@inlinable @inline(__always)
public func readBFloat16(_ source: UnsafeRawPointer, _ index: Int) -> Float {
    Float(bitPattern: UInt32(source.assumingMemoryBound(to: UInt16.self)[index]) << 16)
}

@inlinable @inline(__always)
public func readFloat16(_ source: UnsafeRawPointer, _ index: Int) -> Float {
    let bits = UInt32(source.assumingMemoryBound(to: UInt16.self)[index])
    let sign = (bits & 0x8000) << 16
    let magnitude = (bits & 0x7FFF) << 13
    // 2^112 moves the exponent's bias from 15 to 127 and normalises subnormals; infinity and NaN keep their bits.
    let value = (Float(bitPattern: magnitude) * 0x1p112).bitPattern
    let widened = magnitude >= 0x0F80_0000 ? 0x7F80_0000 | (magnitude & 0x007F_FFFF) : value
    return Float(bitPattern: sign | widened)
}
