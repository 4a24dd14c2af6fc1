import Foundation

/// Rewrites text before it is divided: Unicode normal forms, case, accents, spaces.
///
/// Each kind is one of the `tokenizers` library, by the name it has in `tokenizer.json`.
indirect enum Normalizer: Sendable {
    enum Form: String, Sendable {
        case nfc = "NFC"
        case nfd = "NFD"
        case nfkc = "NFKC"
        case nfkd = "NFKD"
    }

    struct Bert: Sendable {
        var cleansText = true
        var spacesIdeographs = true
        var stripsAccents = true
        var lowercases = true
    }

    case sequence([Normalizer])
    case unicode(Form)
    case lowercase
    case stripAccents
    case prepend([UInt8])
    case replace(TextPattern, by: [UInt8])
    case strip(left: Bool, right: Bool)
    case bert(Bert)

    func normalize(_ text: [UInt8]) -> [UInt8] {
        switch self {
        case .sequence(let steps):
            return steps.reduce(text) { $1.normalize($0) }
        case .unicode(let form):
            return Self.normalForm(form, of: text)
        case .lowercase:
            return Self.lowercased(text)
        case .stripAccents:
            return Self.rewriting(text) { BertText.isMark($0) ? .nothing : .itself }
        case .prepend(let prefix):
            return text.isEmpty ? text : prefix + text
        case .replace(let pattern, let replacement):
            return Self.replacing(pattern, by: replacement, in: text)
        case .strip(let left, let right):
            return Self.stripping(text, left: left, right: right)
        case .bert(let options):
            return Self.bert(text, options)
        }
    }

    // MARK: - Normal forms

    /// Only the parts of the text that can change are normalised: most text is ASCII.
    ///
    /// Below U+0300 (lead bytes below CC) everything is composed, and no scalar composes with one before it; ASCII
    /// does not decompose either. So a part is a run of other scalars with the one in front of it.
    private static func normalForm(_ form: Form, of text: [UInt8]) -> [UInt8] {
        let limit: UInt8 = form == .nfc ? 0xCC : 0x80
        return text.withUnsafeBufferPointer { bytes in
            var result: [UInt8] = []
            result.reserveCapacity(bytes.count)
            var rest = 0
            while let first = bytes[rest...].firstIndex(where: { $0 >= limit }) {
                let start = first > rest ? UTF8Scan.start(before: first, in: bytes) : first
                var end = first
                while end < bytes.count, bytes[end] >= limit { end += UTF8Scan.length(lead: bytes[end]) }
                result += bytes[rest..<start]
                appendNormalForm(form, of: UTF8Scan.slice(bytes, start..<end), to: &result)
                rest = end
            }
            result += bytes[rest...]
            return result
        }
    }

    /// The libraries normalise by Unicode 11. A later scalar is to them an ordinary character, which neither changes
    /// nor combines, so it stays as it is and the text on its two sides is normalised apart.
    private static func appendNormalForm(_ form: Form, of text: UTF8Bytes, to result: inout [UInt8]) {
        var run = String.UnicodeScalarView()
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            // Everything below U+0300 has been assigned for long.
            if scalar.value >= 0x300, !ScalarClass.isAssigned(scalar, by: (11, 0)) {
                result += normalized(String(run), form).utf8
                run.removeAll()
                UTF8Scan.append(scalar.value, to: &result)
            } else {
                run.append(scalar)
            }
        }
        result += normalized(String(run), form).utf8
    }

    private static func normalized(_ text: String, _ form: Form) -> String {
        // Foundation composes only what is decomposed: it leaves U+AC00 U+11A8 as they are, which make U+AC01.
        switch form {
        case .nfc: text.decomposedStringWithCanonicalMapping.precomposedStringWithCanonicalMapping
        case .nfd: text.decomposedStringWithCanonicalMapping
        case .nfkc: text.decomposedStringWithCompatibilityMapping.precomposedStringWithCanonicalMapping
        case .nfkd: text.decomposedStringWithCompatibilityMapping
        }
    }

    // MARK: - Scalar by scalar

    private enum Rewriting {
        case itself, nothing
        case scalar(UInt32)
        case betweenSpaces
    }

    private static func rewriting(_ text: [UInt8], _ rule: (Unicode.Scalar) -> Rewriting) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            switch rule(scalar) {
            case .itself:
                UTF8Scan.append(scalar.value, to: &result)
            case .nothing:
                break
            case .scalar(let other):
                UTF8Scan.append(other, to: &result)
            case .betweenSpaces:
                result.append(0x20)
                UTF8Scan.append(scalar.value, to: &result)
                result.append(0x20)
            }
        }
        return result
    }

    /// Each scalar by itself: a final sigma gets no form of its own.
    private static func lowercased(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            if scalar.isASCII {
                let isUpper = ("A"..."Z").contains(scalar)
                result.append(UInt8(truncatingIfNeeded: isUpper ? scalar.value | 0x20 : scalar.value))
            } else {
                result += scalar.properties.lowercaseMapping.utf8
            }
        }
        return result
    }

    // MARK: - BERT

    /// ASCII byte by byte; what is between is rewritten in the stages of the library.
    private static func bert(_ text: [UInt8], _ options: Bert) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count + text.count / 8)
        var position = 0
        while position < text.count {
            let byte = text[position]
            // A control character that vanishes is part of the run, as marks on its two sides become neighbours.
            var end = position
            while end < text.count, text[end] >= 0x80 || options.cleansText && isDropped(text[end]) { end += 1 }
            if end > position {
                result += bertBeyondASCII(Array(text[position..<end]), options)
                position = end
                continue
            }
            if options.cleansText, byte < 0x20 {
                result.append(0x20)
            } else if options.lowercases, (0x41...0x5A).contains(byte) {
                result.append(byte | 0x20)
            } else {
                result.append(byte)
            }
            position += 1
        }
        return result
    }

    /// An ASCII control character other than the white space that becomes a space.
    private static func isDropped(_ byte: UInt8) -> Bool {
        byte == 0x7F || byte < 0x20 && byte != 0x09 && byte != 0x0A && byte != 0x0D
    }

    private static func bertBeyondASCII(_ text: [UInt8], _ options: Bert) -> [UInt8] {
        var text = text
        if options.cleansText {
            text = rewriting(text) { scalar in
                if BertText.isControl(scalar) { return .nothing }
                return scalar.properties.isWhitespace ? .scalar(0x20) : .itself
            }
        }
        if options.spacesIdeographs {
            text = rewriting(text) { BertText.isIdeograph($0) ? .betweenSpaces : .itself }
        }
        if options.stripsAccents {
            text = normalForm(.nfd, of: text)
            text = rewriting(text) { BertText.isAccent($0) ? .nothing : .itself }
        }
        return options.lowercases ? lowercased(text) : text
    }

    // MARK: - Replacing and stripping

    private static func replacing(_ pattern: TextPattern, by replacement: [UInt8], in text: [UInt8]) -> [UInt8] {
        text.withUnsafeBufferPointer { bytes in
            var result: [UInt8] = []
            result.reserveCapacity(bytes.count + bytes.count / 4)
            var rest = 0
            pattern.forEachMatch(in: bytes) { range in
                result += bytes[rest..<range.lowerBound]
                result += replacement
                rest = range.upperBound
            }
            result += bytes[rest...]
            return result
        }
    }

    private static func stripping(_ text: [UInt8], left: Bool, right: Bool) -> [UInt8] {
        var scalars = String(decoding: text, as: UTF8.self).unicodeScalars[...]
        while left, let first = scalars.first, first.properties.isWhitespace { scalars.removeFirst() }
        while right, let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
        return Array(String(scalars).utf8)
    }
}
