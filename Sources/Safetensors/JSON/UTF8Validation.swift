/// The offset of the first byte that is not part of well-formed UTF-8 (Unicode 15, table 3-7), nil where all are.
///
/// Overlong forms, surrogates and values above U+10FFFF are refused. ASCII is checked eight bytes at a time.
public func firstInvalidUTF8(in bytes: UnsafeRawBufferPointer) -> Int? {
    var position = 0
    while position < bytes.count {
        if position + 8 <= bytes.count,
            bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
        {
            position += 8
            continue
        }
        let length = sequenceLength(in: bytes, at: position)
        if length == 0 { return position }
        position += length
    }
    return nil
}

/// Bytes of the well-formed sequence that starts at `position`, 0 where there is none.
private func sequenceLength(in bytes: UnsafeRawBufferPointer, at position: Int) -> Int {
    let lead = bytes[position]
    let length: Int
    // The range of the second byte excludes overlong forms, surrogates and values that are too large.
    let second: ClosedRange<UInt8>
    switch lead {
    case 0x00...0x7f: return 1
    case 0xc2...0xdf: (length, second) = (2, 0x80...0xbf)
    case 0xe0: (length, second) = (3, 0xa0...0xbf)
    case 0xe1...0xec, 0xee, 0xef: (length, second) = (3, 0x80...0xbf)
    case 0xed: (length, second) = (3, 0x80...0x9f)
    case 0xf0: (length, second) = (4, 0x90...0xbf)
    case 0xf1...0xf3: (length, second) = (4, 0x80...0xbf)
    case 0xf4: (length, second) = (4, 0x80...0x8f)
    default: return 0
    }
    guard position + length <= bytes.count, second.contains(bytes[position + 1]) else { return 0 }
    for offset in 2..<max(length, 2) where bytes[position + offset] & 0xc0 != 0x80 { return 0 }
    return length
}
