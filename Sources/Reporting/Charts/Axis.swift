import CommandLineKit
import Foundation

/// An axis: which value lies where, and which values are written beside it.
struct Axis {
    let isLogarithmic: Bool
    let low: Double
    let high: Double
    /// Pixels of `low` and `high`; the latter is above, so smaller, on a vertical axis.
    let start: Double
    let end: Double

    /// An axis that shows all of `values`, with a little room at both ends of a linear one.
    /// - Parameter isLogarithmic: needs positive values; others are left out.
    init(_ values: [Double], isLogarithmic: Bool, from start: Double, to end: Double) {
        let shown = values.filter { $0.isFinite && (!isLogarithmic || $0 > 0) }
        var low = shown.min() ?? (isLogarithmic ? 1 : 0)
        var high = shown.max() ?? (isLogarithmic ? 10 : 1)
        if isLogarithmic {
            if high <= low { (low, high) = (low / 2, low * 2) }
        } else {
            if high <= low { (low, high) = (low - max(abs(low) / 10, 0.5), low + max(abs(low) / 10, 0.5)) }
            let room = 0.06 * (high - low)
            (low, high) = (low >= 0 ? max(0, low - room) : low - room, high + room)
        }
        self.isLogarithmic = isLogarithmic
        self.low = low
        self.high = high
        self.start = start
        self.end = end
    }

    /// The pixel of a value; values beyond the ends lie on them.
    func position(of value: Double) -> Double {
        let share = isLogarithmic ? log(max(value, low) / low) / log(high / low) : (value - low) / (high - low)
        return start + min(1, max(0, share)) * (end - start)
    }

    /// Round values inside the axis: 1, 2 or 5 times a power of ten; on a logarithmic axis powers of ten where there
    /// are enough of them.
    func ticks(atMost count: Int) -> [Double] { isLogarithmic ? powers(atMost: count) : steps(atMost: count) }

    private func steps(atMost count: Int) -> [Double] {
        let rough = (high - low) / Double(max(count, 2))
        let power = pow(10, floor(log10(rough)))
        let fitting = [1, 2, 5, 10].first { $0 * power >= rough * 0.999 } ?? 10
        // A coarse step may leave a single tick, by which nothing can be read.
        let finer = [10, 5, 2, 1, 0.5, 0.2].filter { $0 <= fitting }
        return finer.lazy.map { multiples(of: $0 * power) }.first { $0.count > 1 } ?? []
    }

    private func multiples(of step: Double) -> [Double] {
        let first = (low / step).rounded(.up)
        let last = (high / step).rounded(.down)
        return first <= last ? stride(from: first, through: last, by: 1).map { $0 * step } : []
    }

    private func powers(atMost count: Int) -> [Double] {
        let exponents = Int(floor(log10(low)))...Int(ceil(log10(high)))
        for multiples in [[1.0, 2, 5], [1, 3], [1]] {
            let all = exponents.flatMap { exponent in multiples.map { $0 * pow(10, Double(exponent)) } }
            let inside = all.filter { $0 >= low * 0.999 && $0 <= high * 1.001 }
            if inside.count <= count && inside.count > 1 { return inside }
        }
        let powers = exponents.map { pow(10, Double($0)) }.filter { $0 >= low * 0.999 && $0 <= high * 1.001 }
        guard powers.count > count else { return steps(atMost: count) }
        return stride(from: 0, to: powers.count, by: (powers.count + count - 1) / count).map { powers[$0] }
    }

    /// A tick as text: `0.05`, `1000`, `10⁻⁴`.
    static func label(_ value: Double) -> String {
        guard value != 0 else { return "0" }
        let exponent = log10(abs(value))
        guard exponent < -3.001 || exponent > 6.001 else { return Quantity.significant(value, 6) }
        let power = Int(floor(exponent + 1e-9))
        let factor = value / pow(10, Double(power))
        let prefix = abs(factor - 1) < 1e-6 ? "" : Quantity.significant(factor, 3) + "·"
        return prefix + "10" + superscript(power)
    }

    private static func superscript(_ value: Int) -> String {
        let digits: [Character: Character] = [
            "-": "⁻", "0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷", "8": "⁸",
            "9": "⁹",
        ]
        return String(String(value).map { digits[$0] ?? $0 })
    }
}
