/// UTF-8 that is known to be valid, read and written scalar by scalar.
typealias UTF8Bytes = UnsafeBufferPointer<UInt8>

enum UTF8Scan {
    /// Bytes of the scalar that starts with `lead`.
    @inline(__always)
    static func length(lead: UInt8) -> Int {
        lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
    }

    /// The scalar at `position`, which must be the start of one.
    @inline(__always)
    static func scalar(in text: UTF8Bytes, at position: Int) -> UInt32 {
        let lead = UInt32(text[position])
        if lead < 0x80 { return lead }
        let second = UInt32(text[position &+ 1] & 0x3F)
        if lead < 0xE0 { return (lead & 0x1F) << 6 | second }
        let third = UInt32(text[position &+ 2] & 0x3F)
        if lead < 0xF0 { return (lead & 0x0F) << 12 | second << 6 | third }
        return (lead & 0x07) << 18 | second << 12 | third << 6 | UInt32(text[position &+ 3] & 0x3F)
    }

    /// Start of the scalar that ends before `position`, which must be greater than 0.
    @inline(__always)
    static func start(before position: Int, in text: UTF8Bytes) -> Int {
        var start = position &- 1
        while text[start] & 0xC0 == 0x80 { start &-= 1 }
        return start
    }

    static func append(_ scalar: UInt32, to bytes: inout [UInt8]) {
        switch scalar {
        case ..<0x80:
            bytes.append(UInt8(truncatingIfNeeded: scalar))
        case ..<0x800:
            bytes.append(UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3F))
        case ..<0x10000:
            bytes.append(UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3F))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3F))
        default:
            bytes.append(UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | scalar >> 12 & 0x3F))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3F))
            bytes.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3F))
        }
    }

    /// Calls `body` with every scalar and the bytes it takes.
    @inline(__always)
    static func forEachScalar(in text: UTF8Bytes, _ body: (_ scalar: UInt32, _ range: Range<Int>) -> Void) {
        var position = 0
        while position < text.count {
            let end = position &+ length(lead: text[position])
            body(scalar(in: text, at: position), position..<end)
            position = end
        }
    }

    /// The bytes of `range`, without a copy.
    @inline(__always)
    static func slice(_ text: UTF8Bytes, _ range: Range<Int>) -> UTF8Bytes {
        UTF8Bytes(rebasing: text[range])
    }
}
