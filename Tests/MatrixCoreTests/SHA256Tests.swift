import MatrixCore
import Testing

/// The digests are those of Python's hashlib.
@Suite("SHA-256")
struct SHA256Tests {
    /// Lengths around the edges of a block and of its padding, with the digest of the bytes (7i + length) mod 256.
    static let digests: [(length: Int, digest: String)] = [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"),
        (3, "6ab0dba1f4f1dfbb37b4f9eeb092c09fca4900ad32bdcd147d8dde35d6c87c35"),
        (55, "81afe5b788dc2ce138ff83d9b20164db75a94d75d2b2432eea4a0ef605088c72"),
        (56, "2aba54f0ac632420a2b502431408866e40e1d5e430df4cd822642c78ab2eb9c1"),
        (57, "903284efbf9100e8ba1614ec65eacacad125e03f857cae7acbf8b73b23e0fdfe"),
        (63, "733d3d4ee79ee67145bf73da13588f6f235d37414fc64b14a2f00f1762792f5e"),
        (64, "79322907b3e9d013d7dc2c2f256674dbf733045cde01df3539271c6f5605feb8"),
        (65, "d85c007c6eb440f085afa2b84f6f2bce4658b240e9f62cb1364bf0485a57e720"),
        (119, "6c87eedf096b345de205b702e5223b73b447a3207791ded3ea007ba15ed6736e"),
        (120, "42500cf6a1e3936d6b9e0bcfe296d654b63255e525487d3634d0b15fde591c4d"),
        (128, "489d55fea9a73af36b6dd0be7b4117d8e5683386d39544e8a44c99a87f368707"),
        (1000, "6b0df76627243d095b0c4400cb658b7e804dd03461cc03aee8fc8fe0bcada168"),
        (100003, "65ce49f81d0adb2d1ea2fd3aaef9b5f8172a2c58a951c31cd4580e94a6bb58b7"),
    ]

    private func message(_ length: Int) -> [UInt8] {
        (0..<length).map { UInt8(truncatingIfNeeded: 7 * $0 + length) }
    }

    @Test("gives the known digest at every length around a block's edge", arguments: digests)
    func knownDigests(length: Int, digest: String) {
        let bytes = message(length)
        #expect(bytes.withUnsafeBytes { SHA256.hex(of: $0) } == digest)
    }

    @Test("does not depend on how the stream is cut", arguments: [1, 7, 63, 64, 65, 200])
    func pieces(size: Int) throws {
        let (length, digest) = try #require(Self.digests.first { $0.length == 1000 })
        let bytes = message(length)
        var hash = SHA256()
        for start in stride(from: 0, to: length, by: size) {
            bytes[start..<min(start + size, length)].withUnsafeBytes { hash.update($0) }
        }
        #expect(hash.finish() == digest)
    }
}
