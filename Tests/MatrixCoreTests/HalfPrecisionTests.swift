import Testing

@testable import MatrixCore

@Suite struct HalfPrecisionTests {
    #if !(os(macOS) && arch(x86_64))
    /// The hardware type of the toolchain is the oracle: all 65,536 patterns, and roundings around each of them.
    @Test func halfAgreesWithFloat16() {
        for pattern in UInt16.min...UInt16.max {
            let expected = Float(Float16(bitPattern: pattern))
            let ours = Half(bitPattern: pattern).float
            if expected.isNaN {
                #expect(ours.isNaN && Half(ours).float.isNaN)
                continue
            }
            #expect(ours == expected)
            for neighbour in [ours, ours.nextUp, ours.nextDown, ours * 1.0003, ours * 1.000244140625]
            where !neighbour.isNaN {
                #expect(Half(neighbour).bitPattern == Float16(neighbour).bitPattern, "\(neighbour)")
            }
        }
    }
    #endif

    @Test(arguments: [
        (1.0, 0x3F80), (1.00390625, 0x3F80), (1.01171875, 0x3F82), (-2.5, 0xC020), (3.4028235e38, 0x7F80),
        (0x1.16c2p-133, 0x0001),
    ] as [(Float, UInt16)])
    func bfloat16RoundsToNearestEven(value: Float, pattern: UInt16) {
        #expect(BFloat16(value).bitPattern == pattern)
    }

    @Test func bfloat16KeepsNaN() {
        #expect(BFloat16(Float(bitPattern: 0x7F80_0001)).float.isNaN)
    }
}
