import Testing

@testable import MatrixCore

@Suite struct CounterRandomTests {
    /// Known answers of the authors' library (Random123, kat_vectors, philox4x32 10 rounds).
    @Test func matchesTheReferenceVectors() {
        #expect(
            CounterRandom.philox(counter: (0, 0, 0, 0), key: (0, 0))
                == (0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
        let ones = UInt32.max
        #expect(
            CounterRandom.philox(counter: (ones, ones, ones, ones), key: (ones, ones))
                == (0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    }

    @Test func normalNumbersHaveMeanZeroAndVarianceOne() {
        let random = CounterRandom(seed: 7)
        let values = (0..<20_000).map { random.normal($0) }
        let mean = values.reduce(0, +) / 20_000
        let variance = values.reduce(0) { $0 + $1 * $1 } / 20_000
        #expect(abs(mean) < 0.03)
        #expect(abs(variance - 1) < 0.05)
    }

    @Test func integersStayBelowTheirBound() {
        let random = CounterRandom(seed: 1, stream: 3)
        let seen = Set((0..<200).map { random.integer($0, below: 5) })
        #expect(seen == [0, 1, 2, 3, 4])
    }
}
