/// Sizes in bytes as people write and read them.
public enum ByteCount {
    private static let units: [(name: String, bytes: Int)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
        ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1),
    ]

    /// `4.5GB` is 4 500 000 000, `800MiB` is 800 · 2²⁰, `123` and `123B` are bytes; in any letter case, with a space
    /// or without.
    ///
    /// A bare `4G` is refused: half of the world's tools read it as 10⁹ and half as 2³⁰.
    /// - Returns: Whole bytes, rounded down, computed without floating point; nil if the text is not a size.
    public static func parse(_ text: String) -> Int? {
        let lowered = text.lowercased()
        for unit in units where lowered.hasSuffix(unit.name.lowercased()) {
            let number = lowered.dropLast(unit.name.count)
            return DecimalText.scaled(number.last == " " ? number.dropLast() : number, by: unit.bytes)
        }
        return DecimalText.scaled(lowered[...], by: 1)
    }

    /// Three digits and a decimal unit: `4.50 GB`, `812 MB`, `17 B`.
    public static func human(_ bytes: Int) -> String {
        Quantity.scaled(bytes, ["B", "KB", "MB", "GB", "TB"], separator: " ")
    }

    /// To the byte: `4,500,000,000 bytes`.
    public static func exact(_ bytes: Int) -> String {
        "\(Quantity.grouped(bytes)) byte\(bytes == 1 ? "" : "s")"
    }
}

/// Counts (of parameters, tokens, operations) as people write and read them.
public enum HumanCount {
    private static let units: [(name: String, count: Int)] = [
        ("k", 1_000), ("m", 1_000_000), ("g", 1_000_000_000), ("b", 1_000_000_000), ("t", 1_000_000_000_000),
    ]

    /// `1.1B`, `350M`, `20k`, `1_000_000`; in any case.
    /// - Returns: The whole count, rounded down; nil if the text is not a count.
    public static func parse(_ text: String) -> Int? {
        let lowered = text.lowercased()
        for unit in units where lowered.hasSuffix(unit.name) {
            return DecimalText.scaled(lowered.dropLast(), by: unit.count)
        }
        return lowered.contains(".") ? nil : DecimalText.scaled(lowered[...], by: 1)
    }

    /// Three digits and a unit: `1.10 B`, `350 M`, `17`.
    public static func human(_ count: Int) -> String {
        Quantity.scaled(count, ["", "k", "M", "B", "T"], separator: " ")
    }

    /// To the last unit: `1,100,048,384`.
    public static func exact(_ count: Int) -> String { Quantity.grouped(count) }
}
