/// Everything about a command that can be said before it runs: parsing, help, completions and the manual come from it.
public struct CommandSpecification: Sendable {
    /// One word, or two for a family: `stats merge`.
    public let name: String
    /// One line without a full stop.
    public let summary: String
    /// Paragraphs below the summary.
    public let discussion: String
    public let arguments: [ArgumentSpecification]
    /// In the order of the help text.
    public let sections: [OptionSection]
    public let exclusions: [Exclusion]
    public let examples: [Example]
    /// Names of other tools that users bring along, with what to use here: `["ratio": "--keep or --remove"]`.
    public let redirections: [String: String]

    public init(
        _ name: String, summary: String, discussion: String = "", arguments: [any ArgumentDeclaration] = [],
        sections: [OptionSection] = [], exclusions: [Exclusion] = [], examples: [Example] = [],
        redirections: [String: String] = [:]
    ) {
        self.name = name
        self.summary = summary
        self.discussion = discussion
        self.arguments = arguments.map(\.specification)
        self.sections = sections
        self.exclusions = exclusions
        self.examples = examples
        self.redirections = redirections
    }

    public var options: [OptionSpecification] { sections.flatMap(\.options) }

    /// The words of its name, at least one.
    var words: [String] { name.split(separator: " ").map(String.init) }
}

/// Options under one heading of the help text.
public struct OptionSection: Sendable {
    public let title: String
    public let options: [OptionSpecification]

    public init(_ title: String, _ options: [any OptionDeclaration]) {
        self.title = title
        self.options = options.map(\.specification)
    }
}

/// Options of which at most one may be given.
public struct Exclusion: Sendable {
    /// What they all choose: `target`.
    public let choice: String
    /// Whether one of them must be given.
    public let isRequired: Bool
    public let options: [OptionSpecification]

    public init(_ choice: String, required: Bool = false, _ options: [any OptionDeclaration]) {
        self.choice = choice
        isRequired = required
        self.options = options.map(\.specification)
    }
}

/// A command line worth copying.
public struct Example: Sendable {
    public let command: String
    public let explanation: String

    public init(_ command: String, _ explanation: String) {
        self.command = command
        self.explanation = explanation
    }
}
