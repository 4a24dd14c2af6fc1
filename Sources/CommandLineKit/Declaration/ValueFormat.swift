/// How the text of a value is read, and how help and errors speak of it.
public struct ValueFormat<Value: Sendable>: Sendable {
    /// Stands for the value in usage lines: `F`, `FILE`, `N`.
    public let placeholder: String
    /// Completes "expected …": `a number above 0 and at most 1`.
    public let expectation: String
    /// What a shell offers in this place.
    public let completion: ValueCompletion
    /// The value, or nil if the text is not one.
    let parse: @Sendable (String) -> Value?
    /// The value as a user would write it; shown as the default.
    let describe: @Sendable (Value) -> String
    /// What is wrong with a text that is no value, where more can be said than what is expected.
    let explain: @Sendable (String) -> String?

    public init(
        _ placeholder: String, expectation: String, completion: ValueCompletion = .nothing,
        parse: @escaping @Sendable (String) -> Value?, describe: @escaping @Sendable (Value) -> String = { "\($0)" },
        explain: @escaping @Sendable (String) -> String? = { _ in nil }
    ) {
        self.placeholder = placeholder
        self.expectation = expectation
        self.completion = completion
        self.parse = parse
        self.describe = describe
        self.explain = explain
    }
}

/// What a shell offers where a value is expected.
public enum ValueCompletion: Sendable, Equatable {
    case nothing
    case files
    case folders
    case choices([String])
    /// The commands of the program.
    case commands
}

extension ValueFormat where Value == String {
    /// Any text, empty too.
    public static func text(_ placeholder: String) -> ValueFormat {
        ValueFormat(placeholder, expectation: "text", parse: { $0 })
    }

    /// A regular expression; that it matches something is for the command to see.
    public static func pattern(_ placeholder: String = "REGEX") -> ValueFormat {
        ValueFormat(
            placeholder, expectation: #"a regular expression such as 'mlp\.(up|down)_proj'"#,
            parse: { fault(ofPattern: $0) == nil ? $0 : nil }, explain: fault)
    }

    /// What is wrong with a regular expression.
    @Sendable private static func fault(ofPattern text: String) -> String? {
        // It would match everything, and nearly always comes of a variable that is not set.
        if text.isEmpty { return "it is empty" }
        do {
            _ = try Regex(text)
            return nil
        } catch {
            return "\(error); a sign that means itself has a backslash before it"
        }
    }

    /// The path of a file; that it exists is for the command to see.
    public static func file(_ placeholder: String = "FILE") -> ValueFormat { path(placeholder, .files) }

    /// The path of a folder; that it exists is for the command to see.
    public static func folder(_ placeholder: String) -> ValueFormat { path(placeholder, .folders) }

    /// The name of a command, or a word of it.
    public static func command() -> ValueFormat {
        ValueFormat("COMMAND", expectation: "a command", completion: .commands, parse: { $0 })
    }

    /// One of a few words.
    public static func word(_ words: [String], placeholder: String? = nil) -> ValueFormat {
        ValueFormat(
            placeholder ?? words.joined(separator: "|"), expectation: enumeration(of: words),
            completion: .choices(words), parse: { words.contains($0) ? $0 : nil })
    }

    private static func path(_ placeholder: String, _ completion: ValueCompletion) -> ValueFormat {
        ValueFormat(
            placeholder, expectation: "a path", completion: completion,
            parse: { $0.isEmpty || $0.unicodeScalars.contains("\0") ? nil : $0 })
    }
}

extension ValueFormat where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One case of an enum, by its raw value.
    public static func choice(_ placeholder: String? = nil) -> ValueFormat {
        let words = Value.allCases.map(\.rawValue)
        return ValueFormat(
            placeholder ?? words.joined(separator: "|"), expectation: enumeration(of: words),
            completion: .choices(words), parse: { Value(rawValue: $0) }, describe: { $0.rawValue })
    }
}

extension ValueFormat {
    /// Several values between commas: `.9,.8`. An empty place is an error.
    public static func commaSeparated<Element>(_ element: ValueFormat<Element>) -> ValueFormat<[Element]>
    where Value == [Element] {
        ValueFormat(
            "\(element.placeholder),…", expectation: "values separated by commas, each \(element.expectation)",
            parse: { text in
                let parts = text.split(separator: ",", omittingEmptySubsequences: false)
                let values = parts.compactMap { element.parse(String($0)) }
                return values.count == parts.count ? values : nil
            }, describe: { $0.map(element.describe).joined(separator: ",") })
    }
}

/// `svd, tt or mixt`.
private func enumeration(of words: [String]) -> String {
    words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " or " + (words.last ?? "")
}
