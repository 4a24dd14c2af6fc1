/// What the splitting patterns of tokenizers ask about a Unicode scalar.
///
/// Every scalar is in exactly one class, so a set of classes is one 64-bit mask and its complement is exact. The
/// classes are the thirty general categories, of which three are divided further because `\s` and `\w` cut through
/// them: white-space controls, alphabetic letter-numbers and symbols, and the six superscripts and fractions that the
/// Oniguruma library counts as word characters.
///
/// The tables of the running system may be newer than those that the tokenizer libraries were built with (Unicode 16):
/// scalars assigned later count as unassigned, so that a text has the same tokens everywhere.
enum ScalarClass {
    /// Classes 0…29 are the general categories in this order.
    private static let categories: [Unicode.GeneralCategory] = [
        .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
        .nonspacingMark, .spacingMark, .enclosingMark,
        .decimalNumber, .letterNumber, .otherNumber,
        .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
        .initialPunctuation, .finalPunctuation, .otherPunctuation,
        .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol,
        .spaceSeparator, .lineSeparator, .paragraphSeparator,
        .control, .format, .surrogate, .privateUse, .unassigned,
    ]
    private static let names: [String] = [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
        "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
    ]
    private static let whiteSpaceControl: UInt8 = 30
    private static let alphabeticLetterNumber: UInt8 = 31
    private static let alphabeticSymbol: UInt8 = 32
    private static let superscriptWord: UInt8 = 33

    static let all: UInt64 = (1 << 34) - 1
    /// `\s`: the White_Space property.
    static let whiteSpace = mask(of: "Z") | bit(whiteSpaceControl)
    /// `\w` of Rust's regex library, but for the two joiners, which are in no class of their own.
    static let rustWord = word & ~bit(superscriptWord)
    /// `\w` of Oniguruma: alphabetic, marks, decimal numbers, connector punctuation, and its six superscripts.
    static let word =
        mask(of: "L") | mask(of: "M") | mask(of: "Nd") | mask(of: "Pc")
        | bit(alphabeticLetterNumber) | bit(alphabeticSymbol) | bit(superscriptWord)

    /// The classes of a general category ("Lu") or of a group of them ("L"); 0 for any other name.
    static func mask(of name: String) -> UInt64 {
        var mask: UInt64 = 0
        for (index, category) in names.enumerated() where category == name || String(category.prefix(1)) == name {
            mask |= 1 << UInt64(index)
            switch category {
            case "Cc": mask |= bit(whiteSpaceControl)
            case "Nl": mask |= bit(alphabeticLetterNumber)
            case "So": mask |= bit(alphabeticSymbol)
            case "No": mask |= bit(superscriptWord)
            default: break
            }
        }
        return mask
    }

    /// The class of a scalar, as a mask of one bit.
    @inline(__always)
    static func mask(of scalar: UInt32) -> UInt64 {
        1 << UInt64(scalar < 0x10000 ? basicPlane[Int(scalar)] : classify(scalar))
    }

    private static func bit(_ scalarClass: UInt8) -> UInt64 { 1 << UInt64(scalarClass) }

    /// Classes of the first 65,536 scalars, worked out once: asking the properties costs ten times as much.
    private static let basicPlane: [UInt8] = (0..<UInt32(0x10000)).map(classify)

    private static func classify(_ value: UInt32) -> UInt8 {
        let unassigned = UInt8(categories.count - 1)
        guard let scalar = Unicode.Scalar(value) else { return unassigned }
        let properties = scalar.properties
        guard isAssigned(scalar, by: (16, 0)) else { return unassigned }
        switch (properties.generalCategory, value) {
        case (.control, _) where properties.isWhitespace: return whiteSpaceControl
        case (.letterNumber, _) where properties.isAlphabetic: return alphabeticLetterNumber
        case (.otherSymbol, _) where properties.isAlphabetic: return alphabeticSymbol
        case (_, 0xB2), (_, 0xB3), (_, 0xB9), (_, 0xBC...0xBE): return superscriptWord
        case (let category, _): return UInt8(categories.firstIndex(of: category) ?? Int(unassigned))
        }
    }

    /// Whether a version of Unicode knew the scalar.
    static func isAssigned(_ scalar: Unicode.Scalar, by version: Unicode.Version) -> Bool {
        guard let age = scalar.properties.age else { return false }
        return age <= version
    }
}
