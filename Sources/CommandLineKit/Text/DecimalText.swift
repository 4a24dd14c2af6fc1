/// Reads a decimal number times a whole unit exactly, without going through binary fractions: 0.1 of 10⁹ is 100000000.
enum DecimalText {
    /// - Parameters:
    ///   - text: `4`, `4.5`, `.5`, `1_000`; no sign, no exponent, at most 18 digits behind the point.
    ///   - unit: What one whole of the number stands for.
    /// - Returns: The product, rounded down; nil if the text is not such a number or the product is above `Int.max`.
    static func scaled(_ text: Substring, by unit: Int) -> Int? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let whole = parts[0].filter { $0 != "_" }, fraction = parts.count > 1 ? String(parts[1]) : ""
        guard !whole.isEmpty || !fraction.isEmpty, (whole + fraction).allSatisfy({ $0.isASCII && $0.isNumber }),
            whole.count <= 19, fraction.count <= 18
        else { return nil }
        // Both factors stay below 2⁶⁴, so their product is exact.
        let units = (UInt128(whole) ?? 0) * UInt128(unit)
        let tenths = (0..<fraction.count).reduce(UInt128(1)) { power, _ in power * 10 }
        return Int(exactly: units + (UInt128(fraction) ?? 0) * UInt128(unit) / tenths)
    }
}
