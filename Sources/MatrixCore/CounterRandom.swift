/// Random numbers addressed by (seed, stream, index): no state, so any part of a sequence can be made by any thread.
///
/// - Method: Philox 4×32 with 10 rounds, a counter-based generator; the key is the seed, the counter is (index,
///   stream).
/// - Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Golden values in the tests come
///   from the authors' Random123 known-answer file.
public struct CounterRandom: Sendable {
    public let seed: UInt64
    /// Separates sequences that use the same seed.
    public let stream: UInt64

    public init(seed: UInt64, stream: UInt64 = 0) {
        self.seed = seed
        self.stream = stream
    }

    /// 64 random bits.
    public func bits(_ index: Int) -> UInt64 {
        let block = philox(counter: UInt64(bitPattern: Int64(index)))
        return UInt64(block.0) | UInt64(block.1) << 32
    }

    /// Uniform in [0, 1).
    public func uniform(_ index: Int) -> Double {
        Double(bits(index) >> 11) * 0x1p-53
    }

    /// Uniform in 0 ..< bound, without bias worth naming for bounds far below 2⁶⁴.
    public func integer(_ index: Int, below bound: Int) -> Int {
        Int(bits(index).multipliedFullWidth(by: UInt64(bound)).high)
    }

    func philox(counter: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
        Self.philox(
            counter: (
                UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32),
                UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)
            ),
            key: (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
    }

    static func philox(
        counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32)
    ) -> (UInt32, UInt32, UInt32, UInt32) {
        var (c0, c1, c2, c3) = counter
        var (k0, k1) = key
        for _ in 0..<10 {
            let first = UInt64(c0) &* 0xD251_1F53
            let second = UInt64(c2) &* 0xCD9E_8D57
            (c0, c1, c2, c3) = (
                UInt32(truncatingIfNeeded: second >> 32) ^ c1 ^ k0, UInt32(truncatingIfNeeded: second),
                UInt32(truncatingIfNeeded: first >> 32) ^ c3 ^ k1, UInt32(truncatingIfNeeded: first)
            )
            k0 = k0 &+ 0x9E37_79B9
            k1 = k1 &+ 0xBB67_AE85
        }
        return (c0, c1, c2, c3)
    }
}
