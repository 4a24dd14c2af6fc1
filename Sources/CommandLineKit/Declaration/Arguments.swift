/// What parsing, help and completions need to know of a word that is not an option.
public struct ArgumentSpecification: Sendable {
    /// How many words it takes.
    public enum Count: Sendable, Equatable {
        case one
        case optional
        case oneOrMore
        case any
    }

    public let count: Count
    public let help: String
    public let value: ValueSpecification

    public var name: String { value.placeholder }

    /// As shown in a usage line: `CKPT`, `[COMMAND]`, `PART…`.
    var usage: String {
        switch count {
        case .one: name
        case .optional: "[\(name)]"
        case .oneOrMore: "\(name)…"
        case .any: "[\(name)…]"
        }
    }
}

/// A typed argument of a command, read from `ParsedArguments` by subscript as options are.
public protocol ArgumentDeclaration: Sendable {
    var specification: ArgumentSpecification { get }
}

/// `CKPT`: one word that must be there.
public struct Argument<Value: Sendable>: ArgumentDeclaration {
    public let specification: ArgumentSpecification

    public init(_ format: ValueFormat<Value>, help: String) {
        specification = ArgumentSpecification(count: .one, help: help, value: .init(format))
    }
}

/// `[COMMAND]`: one word that may be left out; must be the last argument.
public struct OptionalArgument<Value: Sendable>: ArgumentDeclaration {
    public let specification: ArgumentSpecification

    public init(_ format: ValueFormat<Value>, help: String) {
        specification = ArgumentSpecification(count: .optional, help: help, value: .init(format))
    }
}

/// `PART…`: one word or more, or `[PART…]`: any number; must be the last argument.
public struct ArgumentList<Value: Sendable>: ArgumentDeclaration {
    public let specification: ArgumentSpecification

    public init(_ format: ValueFormat<Value>, mayBeEmpty: Bool = false, help: String) {
        specification = ArgumentSpecification(count: mayBeEmpty ? .any : .oneOrMore, help: help, value: .init(format))
    }
}
