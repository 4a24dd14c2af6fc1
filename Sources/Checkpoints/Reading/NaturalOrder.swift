/// Puts names in an order in which numbers count by value: `layers.2` before `layers.10`.
///
/// Names that differ only in leading zeros keep the order of their bytes.
struct NaturalOrder: Comparable {
    private let name: String
    /// The name's bytes with every number written as `0`, its number of digits, and its digits without leading zeros:
    /// compared byte by byte, a longer number is a larger one.
    private let key: [UInt8]

    init(_ name: String) {
        self.name = name
        var key: [UInt8] = []
        key.reserveCapacity(name.utf8.count + 8)
        var rest = Array(name.utf8)[...]
        while let byte = rest.first {
            if Self.isDigit(byte) {
                let number = rest.prefix(while: Self.isDigit)
                let digits = number.drop { $0 == UInt8(ascii: "0") }
                key.append(UInt8(ascii: "0"))
                key.append(UInt8(clamping: digits.count))
                key.append(contentsOf: digits)
                rest = rest[number.endIndex...]
            } else {
                key.append(byte)
                rest.removeFirst()
            }
        }
        self.key = key
    }

    static func < (left: NaturalOrder, right: NaturalOrder) -> Bool {
        if left.key != right.key { return left.key.lexicographicallyPrecedes(right.key) }
        return left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
