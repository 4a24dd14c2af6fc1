/// The letters in which byte-level vocabularies write bytes.
///
/// Printable bytes stand for themselves; the 68 others are the scalars from U+0100 on, in order: a space is "Ġ".
///
/// - Source: `bytes_to_unicode` of the GPT-2 code.
enum ByteAlphabet {
    /// The letter of each byte.
    static let letters: [Unicode.Scalar] = {
        var letters: [Unicode.Scalar] = []
        var next: UInt32 = 0x100
        for byte in UInt8.min...UInt8.max {
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF:
                letters.append(Unicode.Scalar(byte))
            default:
                letters.append(Unicode.Scalar(next) ?? Unicode.Scalar(byte))
                next += 1
            }
        }
        return letters
    }()

    /// The byte of each letter below U+0144; nil for scalars that are no letter.
    private static let bytes: [UInt8?] = {
        var bytes = [UInt8?](repeating: nil, count: 0x144)
        for (byte, letter) in letters.enumerated() { bytes[Int(letter.value)] = UInt8(byte) }
        return bytes
    }()

    /// The bytes that a token says; the token itself where it is not written in the alphabet.
    static func decode(_ token: [UInt8]) -> [UInt8] {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(token.count)
        let isWritten = token.withUnsafeBufferPointer { text in
            var isWritten = true
            UTF8Scan.forEachScalar(in: text) { scalar, _ in
                if scalar < bytes.count, let byte = bytes[Int(scalar)] {
                    decoded.append(byte)
                } else {
                    isWritten = false
                }
            }
            return isWritten
        }
        return isWritten ? decoded : token
    }

    /// `text` written in the alphabet.
    static func encode(_ text: UTF8Bytes) -> [UInt8] {
        var encoded: [UInt8] = []
        encoded.reserveCapacity(2 * text.count)
        for byte in text { UTF8Scan.append(letters[Int(byte)].value, to: &encoded) }
        return encoded
    }
}
