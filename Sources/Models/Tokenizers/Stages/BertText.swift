/// What BERT's text cleaning takes for a control character, punctuation, an accent or an ideograph.
///
/// The libraries decide with tables of Unicode 8 (accents of `StripAccents`: 9): what was assigned later is none of
/// these, and the few scalars whose category was corrected since keep their old one. The rules are otherwise those of
/// the code published with BERT, with the gap in its ranges of ideographs.
enum BertText {
    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control: scalar != "\t" && scalar != "\n" && scalar != "\r"
        case .format: ScalarClass.isAssigned(scalar, by: (8, 0))
        case .privateUse: true
        default: scalar.value == 0xFFFD
        }
    }

    static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return (0x21...0x2F).contains(scalar.value) || (0x3A...0x40).contains(scalar.value)
                || (0x5B...0x60).contains(scalar.value) || (0x7B...0x7E).contains(scalar.value)
        }
        if scalar.value == 0x166D || scalar.value == 0x111C9 { return true }
        switch scalar.properties.generalCategory {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            return ScalarClass.isAssigned(scalar, by: (8, 0))
        default:
            return false
        }
    }

    /// A nonspacing mark, which BERT drops after canonical decomposition.
    static func isAccent(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x1734, 0x1171E: true
        case 0x1885, 0x1886, 0xA9BD, 0x111C9: false
        default:
            scalar.properties.generalCategory == .nonspacingMark && ScalarClass.isAssigned(scalar, by: (8, 0))
        }
    }

    /// A mark of any kind, which the `StripAccents` normaliser drops.
    static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch (scalar.properties.generalCategory, scalar.value) {
        case (_, 0x1CF2), (_, 0x1CF3): true
        case (_, 0x111C9): false
        case (.nonspacingMark, _), (.spacingMark, _), (.enclosingMark, _):
            ScalarClass.isAssigned(scalar, by: (9, 0))
        default: false
        }
    }

    static func isIdeograph(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B81F, 0x2B920...0x2CEAF,
            0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default:
            false
        }
    }
}
