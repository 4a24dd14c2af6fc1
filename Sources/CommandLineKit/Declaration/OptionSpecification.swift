/// What parsing, help and completions need to know of an option, its value type erased.
public struct OptionSpecification: Sendable {
    /// How often the option may be given, and how many words it takes.
    public enum Arity: Sendable, Equatable {
        /// No value: on or off.
        case flag
        /// One value, once.
        case single
        /// One value each time it is given.
        case repeatable
        /// All words up to the next option, each time it is given.
        case variadic
    }

    /// Without dashes: `keep`.
    public let name: String
    /// The one-letter form: `o` for `-o`.
    public let letter: Character?
    public let arity: Arity
    public let help: String
    /// Left out of help and completions, but accepted.
    public let isHidden: Bool
    /// The command cannot do without it.
    public let isRequired: Bool
    public let value: ValueSpecification
    /// The value in force when the option is not given, as a user would write it.
    public let defaultText: String?

    /// As written in a command line: `--keep`.
    public var spelling: String { "--\(name)" }

    /// As shown in help: `-o, --output FOLDER`, `--text FILE…`.
    var usage: String {
        let names = letter.map { "-\($0), " } ?? "    "
        switch arity {
        case .flag: return names + spelling
        case .single, .repeatable: return names + "\(spelling) \(value.placeholder)"
        case .variadic: return names + "\(spelling) \(value.placeholder)…"
        }
    }
}

/// What parsing, help and completions need to know of a value, its type erased.
public struct ValueSpecification: Sendable {
    public let placeholder: String
    public let expectation: String
    public let completion: ValueCompletion
    /// The typed value, or nil if the text is not one.
    let parse: @Sendable (String) -> (any Sendable)?
    /// What is wrong with a text that is no value, where more can be said than what is expected.
    let explain: @Sendable (String) -> String?

    init<Value>(_ format: ValueFormat<Value>) {
        placeholder = format.placeholder
        expectation = format.expectation
        completion = format.completion
        parse = { text in format.parse(text) }
        explain = format.explain
    }

    /// Of a flag, which has no value.
    static let none = ValueSpecification(ValueFormat<String>("", expectation: "no value", parse: { _ in nil }))
}
