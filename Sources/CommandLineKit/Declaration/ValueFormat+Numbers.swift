/// One end of an interval.
public enum Bound: Sendable {
    /// The end itself is allowed.
    case inclusive(Double)
    /// The end itself is not allowed.
    case exclusive(Double)
}

extension ValueFormat where Value == Double {
    /// A finite number within bounds: `.number("F", from: .exclusive(0), to: .inclusive(1))`.
    public static func number(_ placeholder: String, from lower: Bound? = nil, to upper: Bound? = nil) -> ValueFormat {
        ValueFormat(
            placeholder, expectation: "a number" + describeBounds(lower, upper),
            parse: { text in
                // Swift reads hexadecimal and names of infinities too; a shell user means neither.
                guard text.allSatisfy({ $0.isASCII && ($0.isNumber || ".+-eE".contains($0)) }), let value = Double(text)
                else { return nil }
                return value.isFinite && isAbove(lower, value) && isBelow(upper, value) ? value : nil
            }, describe: { Quantity.significant($0, 15) })
    }
}

extension ValueFormat where Value == Int {
    /// A whole number within bounds.
    public static func integer(_ placeholder: String, from lower: Int = .min, to upper: Int = .max) -> ValueFormat {
        var range: [String] = []
        if lower != .min { range.append(upper == .max ? "of at least \(lower)" : "from \(lower)") }
        if upper != .max { range.append(lower == .min ? "of at most \(upper)" : "to \(upper)") }
        return ValueFormat(
            placeholder, expectation: (["a whole number"] + range).joined(separator: " "),
            parse: { text in Int(text).flatMap { (lower...upper).contains($0) ? $0 : nil } })
    }

    /// A size in bytes: see `ByteCount.parse`.
    public static func bytes(_ placeholder: String = "SIZE") -> ValueFormat {
        ValueFormat(
            placeholder, expectation: "a size above 0 such as 4.5GB or 800MiB",
            parse: { text in ByteCount.parse(text).flatMap { $0 > 0 ? $0 : nil } }, describe: ByteCount.human)
    }

    /// A count above 0: see `HumanCount.parse`.
    public static func count(_ placeholder: String = "N") -> ValueFormat {
        ValueFormat(
            placeholder, expectation: "a count above 0 such as 350M or 1.1B",
            parse: { text in HumanCount.parse(text).flatMap { $0 > 0 ? $0 : nil } }, describe: HumanCount.human)
    }
}

extension ValueFormat where Value == UInt64 {
    /// A seed for random numbers.
    public static func seed(_ placeholder: String = "N") -> ValueFormat {
        ValueFormat(placeholder, expectation: "a whole number from 0 to \(UInt64.max)", parse: { UInt64($0) })
    }
}

private func isAbove(_ bound: Bound?, _ value: Double) -> Bool {
    switch bound {
    case .inclusive(let end): value >= end
    case .exclusive(let end): value > end
    case nil: true
    }
}

private func isBelow(_ bound: Bound?, _ value: Double) -> Bool {
    switch bound {
    case .inclusive(let end): value <= end
    case .exclusive(let end): value < end
    case nil: true
    }
}

/// ` above 0 and at most 1`.
private func describeBounds(_ lower: Bound?, _ upper: Bound?) -> String {
    var ends: [String] = []
    switch lower {
    case .inclusive(let end): ends.append("at least \(Quantity.significant(end, 15))")
    case .exclusive(let end): ends.append("above \(Quantity.significant(end, 15))")
    case nil: break
    }
    switch upper {
    case .inclusive(let end): ends.append("at most \(Quantity.significant(end, 15))")
    case .exclusive(let end): ends.append("below \(Quantity.significant(end, 15))")
    case nil: break
    }
    return ends.isEmpty ? "" : " " + ends.joined(separator: " and ")
}
