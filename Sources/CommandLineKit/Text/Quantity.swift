#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Numbers, shares and times as they are printed; the same on every machine and in every locale.
public enum Quantity {
    /// `digits` digits behind the point, rounded half to even of the binary value, as C prints it.
    public static func fixed(_ value: Double, _ digits: Int) -> String {
        format("%.*f", [Int32(digits), value])
    }

    /// `digits` significant digits, with an exponent only where it is shorter: `0.0123`, `1.5e-07`.
    public static func significant(_ value: Double, _ digits: Int) -> String {
        format("%.*g", [Int32(digits), value])
    }

    /// 0.6 as `60.0 %`.
    public static func percent(_ share: Double, digits: Int = 1) -> String { fixed(share * 100, digits) + " %" }

    /// `1,234,567`.
    public static func grouped(_ value: Int) -> String {
        var result = ""
        let digits = Array(String(value.magnitude))
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index) % 3 == 0 { result.append(",") }
            result.append(digit)
        }
        return value < 0 ? "-" + result : result
    }

    /// How long something took: `820 ms`, `12.3 s`, `4 min 05 s`, `2 h 03 min`.
    public static func duration(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 3.6e8 else { return "–" }
        if seconds < 0.9995 { return fixed(max(0, seconds) * 1_000, 0) + " ms" }
        if seconds < 59.95 { return fixed(seconds, 1) + " s" }
        let whole = Int(seconds.rounded())
        if whole < 3_600 { return "\(whole / 60) min \(twoDigits(whole % 60)) s" }
        return "\(whole / 3_600) h \(twoDigits(whole / 60 % 60)) min"
    }

    /// Three digits with the unit that brings the value below 1000.
    static func scaled(_ value: Int, _ units: [String], separator: String) -> String {
        var scaled = Double(value), step = 0
        // 999.5 would round to 1000 with three digits.
        while abs(scaled) >= (step == 0 ? 1_000 : 999.5) && step < units.count - 1 {
            scaled /= 1_000
            step += 1
        }
        if step == 0 { return units[0].isEmpty ? "\(value)" : "\(value)\(separator)\(units[0])" }
        let digits = abs(scaled) < 9.995 ? 2 : abs(scaled) < 99.95 ? 1 : 0
        return fixed(scaled, digits) + separator + units[step]
    }

    private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }

    private static func format(_ pattern: String, _ arguments: [CVarArg]) -> String {
        withVaList(arguments) { list in
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: 400) { buffer in
                let written = vsnprintf(buffer.baseAddress, buffer.count, pattern, list)
                let bytes = buffer.prefix(min(max(0, Int(written)), buffer.count - 1)).map { UInt8(bitPattern: $0) }
                return String(decoding: bytes, as: UTF8.self)
            }
        }
    }
}
