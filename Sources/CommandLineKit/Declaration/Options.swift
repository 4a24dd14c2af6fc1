/// A typed option of a command: the one place that knows its name, its values, its default and its help.
///
/// Declare options as static constants of a command and read them from `ParsedArguments` by subscript:
///
///     static let keep = Option("keep", .number("F", from: .exclusive(0), to: .inclusive(1)), help: "…")
///     static let fast = Flag("fast", help: "…")
///     …
///     let keep: Double? = arguments[Self.keep]
///     let fast: Bool = arguments[Self.fast]
public protocol OptionDeclaration: Sendable {
    var specification: OptionSpecification { get }
}

/// `--fast`: on or off.
public struct Flag: OptionDeclaration {
    public let specification: OptionSpecification

    public init(_ name: String, letter: Character? = nil, help: String, hidden: Bool = false) {
        specification = OptionSpecification(
            name: name, letter: letter, arity: .flag, help: help, isHidden: hidden, isRequired: false, value: .none,
            defaultText: nil)
    }
}

/// `--keep F`: a value, or nil when it is not given.
public struct Option<Value: Sendable>: OptionDeclaration {
    public let specification: OptionSpecification

    public init(
        _ name: String, letter: Character? = nil, _ format: ValueFormat<Value>, help: String, hidden: Bool = false
    ) {
        specification = OptionSpecification(
            name: name, letter: letter, arity: .single, help: help, isHidden: hidden, isRequired: false,
            value: .init(format), defaultText: nil)
    }
}

/// `-o FOLDER`: a value that must be given.
public struct RequiredOption<Value: Sendable>: OptionDeclaration {
    public let specification: OptionSpecification

    public init(_ name: String, letter: Character? = nil, _ format: ValueFormat<Value>, help: String) {
        specification = OptionSpecification(
            name: name, letter: letter, arity: .single, help: help, isHidden: false, isRequired: true,
            value: .init(format), defaultText: nil)
    }
}

/// `--method NAME`: a value that has a default.
public struct Setting<Value: Sendable>: OptionDeclaration {
    public let specification: OptionSpecification
    let defaultValue: Value

    public init(
        _ name: String, letter: Character? = nil, _ format: ValueFormat<Value>, default value: Value, help: String,
        hidden: Bool = false
    ) {
        defaultValue = value
        specification = OptionSpecification(
            name: name, letter: letter, arity: .single, help: help, isHidden: hidden, isRequired: false,
            value: .init(format), defaultText: format.describe(value))
    }
}

/// `--include REGEX` any number of times, or `--text FILE…` with any number of words: values in the order given.
public struct OptionList<Value: Sendable>: OptionDeclaration {
    /// How several values are written.
    public enum Style: Sendable {
        /// `--include a --include b`
        case repeated
        /// `--text a b c`, up to the next option
        case variadic
    }

    public let specification: OptionSpecification

    public init(
        _ name: String, letter: Character? = nil, _ format: ValueFormat<Value>, style: Style, help: String,
        hidden: Bool = false
    ) {
        specification = OptionSpecification(
            name: name, letter: letter, arity: style == .repeated ? .repeatable : .variadic, help: help,
            isHidden: hidden, isRequired: false, value: .init(format), defaultText: nil)
    }
}
