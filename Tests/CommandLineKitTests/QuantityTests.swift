import CommandLineKit
import Testing

/// Numbers as people write and read them.
struct QuantityTests {
    @Test(arguments: [
        ("0", 0), ("17", 17), ("17B", 17), ("4.5GB", 4_500_000_000), ("4.5 gb", 4_500_000_000), ("800MiB", 838_860_800),
        ("0.1GB", 100_000_000), (".5KiB", 512), ("1.1TB", 1_100_000_000_000), ("1_000kb", 1_000_000),
        ("0.3B", 0), ("1.9B", 1), ("9223372036854775807", Int.max),
        ("9223372036854775808", nil), ("9223372036854775807KB", nil), ("4G", nil), ("", nil), ("B", nil), (".", nil),
        ("-1GB", nil), ("1e3", nil), ("1.2.3MB", nil), ("GB4", nil), ("٣GB", nil), ("1  GB", nil),
    ])
    func sizesAreReadExactly(text: String, bytes: Int?) {
        #expect(ByteCount.parse(text) == bytes)
    }

    @Test(arguments: [
        ("1.1B", 1_100_000_000), ("350M", 350_000_000), ("20k", 20_000), ("1_000_000", 1_000_000), ("0", 0),
        ("1.5", nil), ("k", nil), ("-3", nil), ("1.1Q", nil),
    ])
    func countsAreReadExactly(text: String, count: Int?) {
        #expect(HumanCount.parse(text) == count)
    }

    @Test(arguments: [
        (0, "0 B"), (999, "999 B"), (1_000, "1.00 KB"), (9_994, "9.99 KB"), (9_996, "10.0 KB"), (999_499, "999 KB"),
        (999_500, "1.00 MB"), (4_500_000_000, "4.50 GB"), (-2_000, "-2.00 KB"), (5_000_000_000_000_000, "5000 TB"),
    ])
    func sizesAreShownWithThreeDigits(bytes: Int, text: String) {
        #expect(ByteCount.human(bytes) == text)
    }

    @Test func exactSizesAreGrouped() {
        #expect(ByteCount.exact(1) == "1 byte")
        #expect(ByteCount.exact(4_500_000_000) == "4,500,000,000 bytes")
        #expect(HumanCount.exact(-1_234_567) == "-1,234,567")
        #expect(HumanCount.human(1_100_048_384) == "1.10 B")
        #expect(HumanCount.human(17) == "17")
    }

    @Test(arguments: [
        (0, "0 ms"), (0.82, "820 ms"), (0.9996, "1.0 s"), (12.34, "12.3 s"), (59.96, "1 min 00 s"), (245, "4 min 05 s"),
        (7_380, "2 h 03 min"), (.infinity, "–"),
    ])
    func durationsHaveTheirUnit(seconds: Double, text: String) {
        #expect(Quantity.duration(seconds) == text)
    }

    @Test func fixedAndSignificantDigits() {
        #expect(Quantity.fixed(0.125, 2) == "0.12")
        #expect(Quantity.fixed(1e300, 0).count == 301)
        #expect(Quantity.significant(0.0000001234567, 3) == "1.23e-07")
        #expect(Quantity.percent(0.6) == "60.0 %")
    }
}
