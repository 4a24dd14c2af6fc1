/// A piece of a page that is safe by construction: text that is put into a literal is escaped, and only another
/// `Markup` goes in as it is. So the name of a tensor can never become an element, an attribute or a script.
///
///     let row: Markup = "<td title=\"\(name)\">\(name)</td>"
///
/// Pages are written so that an XML parser takes them too: every element is closed, every attribute quoted.
struct Markup: Sendable, ExpressibleByStringInterpolation {
    let source: String

    init(stringLiteral value: String) { source = value }

    init(stringInterpolation: StringInterpolation) { source = stringInterpolation.source }

    init(verbatim source: String) { self.source = source }

    init(_ parts: [Markup], separator: String = "\n") {
        source = parts.map(\.source).joined(separator: separator)
    }

    static let empty: Markup = ""

    static func + (left: Markup, right: Markup) -> Markup { Markup(verbatim: left.source + right.source) }

    struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var source = ""

        init(literalCapacity: Int, interpolationCount: Int) {
            source.reserveCapacity(literalCapacity + 16 * interpolationCount)
        }

        mutating func appendLiteral(_ literal: String) { source += literal }
        mutating func appendInterpolation(_ markup: Markup) { source += markup.source }
        mutating func appendInterpolation(_ parts: [Markup]) { source += Markup(parts).source }
        mutating func appendInterpolation(_ text: String) { source += Markup.escaped(text) }
        mutating func appendInterpolation(_ number: Int) { source += String(number) }
        /// A coordinate, to a tenth of a pixel.
        mutating func appendInterpolation(_ coordinate: Double) { source += Markup.coordinate(coordinate) }
    }

    /// Text in which nothing is markup; characters that no document may hold are shown as missing.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\t", "\n", "\r": result.unicodeScalars.append(scalar)
            case _ where scalar.value < 0x20 || scalar.value == 0x7f || scalar.value & 0xfffe == 0xfffe:
                result.unicodeScalars.append("\u{fffd}")
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func coordinate(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e9 else { return "0" }
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? String(tenths / 10) : String(Double(tenths) / 10)
    }
}
