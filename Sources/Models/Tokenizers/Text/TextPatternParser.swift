/// Reads the dialect of `TextPattern`.
struct TextPatternParser {
    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var ignoresCase = false

    init(_ source: String) {
        scalars = Array(source.unicodeScalars)
    }

    mutating func parse() throws(TextPatternError) -> TextPatternSyntax {
        let syntax = try parseAlternatives()
        guard position == scalars.count else { throw refusal("an unmatched )") }
        return syntax
    }

    private mutating func parseAlternatives() throws(TextPatternError) -> TextPatternSyntax {
        var alternatives: [TextPatternSyntax] = []
        repeat {
            var parts: [TextPatternSyntax] = []
            while let next = peek(), next != "|", next != ")" { try parts.append(parseTerm()) }
            alternatives.append(parts.count == 1 ? parts[0] : .sequence(parts))
        } while take("|")
        return alternatives.count == 1 ? alternatives[0] : .choice(alternatives)
    }

    /// One atom and its quantifier.
    private mutating func parseTerm() throws(TextPatternError) -> TextPatternSyntax {
        let atom = try parseAtom()
        let counts: (minimum: Int, maximum: Int)
        var isInterval = false
        if take("?") {
            counts = (0, 1)
        } else if take("*") {
            counts = (0, .max)
        } else if take("+") {
            counts = (1, .max)
        } else if take("{") {
            counts = try parseInterval()
            isInterval = true
        } else {
            return atom
        }
        if peek() == "?" { throw refusal("a lazy quantifier") }
        // After an interval Oniguruma reads + as another repetition, not as possessive.
        if isInterval, peek() == "+" { throw refusal("a repeated repetition") }
        let isPossessive = take("+")
        if let next = peek(), "?*+{".unicodeScalars.contains(next) { throw refusal("a repeated repetition") }
        return .repetition(atom, minimum: counts.minimum, maximum: counts.maximum, isPossessive: isPossessive)
    }

    /// `{m}`, `{m,}`, `{,n}` or `{m,n}` after its brace.
    private mutating func parseInterval() throws(TextPatternError) -> (minimum: Int, maximum: Int) {
        let minimum = parseNumber()
        let hasComma = take(",")
        let maximum = hasComma ? parseNumber() : minimum
        guard take("}"), minimum != nil || maximum != nil else { throw refusal("an interval") }
        let counts = (minimum: minimum ?? 0, maximum: maximum ?? .max)
        guard counts.minimum <= counts.maximum else { throw refusal("an interval") }
        return counts
    }

    private mutating func parseNumber() -> Int? {
        var digits = ""
        while let next = peek(), ("0"..."9").contains(next) {
            digits.unicodeScalars.append(next)
            position += 1
        }
        return Int(digits)
    }

    private mutating func parseAtom() throws(TextPatternError) -> TextPatternSyntax {
        guard let scalar = peek() else { throw refusal("the end of the pattern") }
        switch scalar {
        case "(":
            return try parseGroup()
        case "[":
            return .set(try parseBracket())
        case "\\":
            if take("\\A") { return .textStart }
            if take("\\z") { return .textEnd }
            return .set(try parseEscape())
        case ".":
            position += 1
            return .set(ScalarSet(ranges: [0x0A...0x0A], isNegated: true))
        case "^", "$", "?", "*", "+", "{":
            throw refusal(String(scalar))
        default:
            position += 1
            return .set(try literal(scalar))
        }
    }

    private mutating func parseGroup() throws(TextPatternError) -> TextPatternSyntax {
        let outer = ignoresCase
        defer { ignoresCase = outer }
        let makes: (TextPatternSyntax) -> TextPatternSyntax
        if take("(?i:") {
            ignoresCase = true
            makes = { $0 }
        } else if take("(?!") {
            makes = { .lookahead($0, isNegative: true) }
        } else if take("(?=") {
            makes = { .lookahead($0, isNegative: false) }
        } else if take("(?:") {
            makes = { $0 }
        } else if peek(1) == "?" {
            throw refusal("a group of this kind")
        } else {
            position += 1
            makes = { $0 }
        }
        let inner = try parseAlternatives()
        guard take(")") else { throw refusal("a group that is not closed") }
        return makes(inner)
    }

    /// `[…]` with its brackets.
    private mutating func parseBracket() throws(TextPatternError) -> ScalarSet {
        position += 1
        let isNegated = take("^")
        var set = ScalarSet()
        while let scalar = peek(), scalar != "]" {
            if scalar == "[" || take("&&") { throw refusal("a set inside a set") }
            guard scalar != "\\" else {
                let escape = try parseEscape()
                // Classes divide all scalars, so the complement of classes is classes; of single scalars it is not.
                guard !escape.isNegated || escape.ranges.isEmpty else { throw refusal("a negated scalar in a set") }
                set.formUnion(
                    classes: escape.isNegated ? ScalarClass.all & ~escape.classes : escape.classes,
                    ranges: escape.ranges)
                continue
            }
            position += 1
            var range = scalar.value...scalar.value
            if peek() == "-", let upper = peek(1), upper != "]" {
                guard upper != "\\", upper.value >= scalar.value else { throw refusal("a range") }
                position += 2
                range = scalar.value...upper.value
            }
            if ignoresCase { throw refusal("a set where case is ignored") }
            set.formUnion(ranges: [range])
        }
        guard take("]") else { throw refusal("a set that is not closed") }
        return isNegated ? set.negated : set
    }

    /// A backslash and what it escapes.
    private mutating func parseEscape() throws(TextPatternError) -> ScalarSet {
        position += 1
        guard let scalar = peek() else { throw refusal("a backslash at the end") }
        position += 1
        switch scalar {
        case "s": return ScalarSet(classes: ScalarClass.whiteSpace)
        case "S": return ScalarSet(classes: ScalarClass.whiteSpace, isNegated: true)
        case "d": return ScalarSet(classes: ScalarClass.mask(of: "Nd"))
        case "D": return ScalarSet(classes: ScalarClass.mask(of: "Nd"), isNegated: true)
        case "w": return ScalarSet(classes: ScalarClass.word)
        case "W": return ScalarSet(classes: ScalarClass.word, isNegated: true)
        case "p", "P": return try parseProperty(isNegated: scalar == "P")
        case "r": return ScalarSet(scalar: 0x0D)
        case "n": return ScalarSet(scalar: 0x0A)
        case "t": return ScalarSet(scalar: 0x09)
        default:
            guard scalar.isASCII, !scalar.properties.isAlphabetic, !("0"..."9").contains(scalar) else {
                position -= 2
                throw refusal("\\\(scalar)")
            }
            return ScalarSet(scalar: scalar.value)
        }
    }

    /// `{Lu}` after `\p`, also `{^Lu}`.
    private mutating func parseProperty(isNegated: Bool) throws(TextPatternError) -> ScalarSet {
        guard take("{") else { throw refusal("\\p without braces") }
        let isInverted = take("^")
        var name = ""
        while let next = peek(), next != "}" {
            name.unicodeScalars.append(next)
            position += 1
        }
        let classes = ScalarClass.mask(of: name)
        guard take("}"), classes != 0 else { throw refusal("\\p{\(name)}") }
        return ScalarSet(classes: classes, isNegated: isNegated != isInverted)
    }

    /// A literal scalar, with its other cases where case is ignored.
    private func literal(_ scalar: Unicode.Scalar) throws(TextPatternError) -> ScalarSet {
        guard ignoresCase, scalar.properties.isAlphabetic else { return ScalarSet(scalar: scalar.value) }
        guard scalar.isASCII else { throw refusal("a letter beyond ASCII where case is ignored") }
        let upper = scalar.value & ~0x20, lower = scalar.value | 0x20
        var ranges = [upper...upper, lower...lower]
        // The two scalars beyond ASCII that fold to one ASCII letter: the long s and the Kelvin sign.
        if lower == 0x73 { ranges.append(0x17F...0x17F) }
        if lower == 0x6B { ranges.append(0x212A...0x212A) }
        return ScalarSet(ranges: ranges)
    }

    private func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
        position + ahead < scalars.count ? scalars[position + ahead] : nil
    }

    /// Steps over `text` where it comes next.
    private mutating func take(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard scalars[position...].starts(with: wanted) else { return false }
        position += wanted.count
        return true
    }

    private func refusal(_ construct: String) -> TextPatternError {
        TextPatternError(construct: construct, offset: position)
    }
}
