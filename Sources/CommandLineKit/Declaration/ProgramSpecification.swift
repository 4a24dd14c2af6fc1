/// A program of several commands, with the options that all of them take.
public struct ProgramSpecification: Sendable {
    public let name: String
    public let version: String
    /// One line without a full stop.
    public let summary: String
    public let commands: [CommandSpecification]
    /// Options of every command.
    public let globals: OptionSection
    /// Global options that exclude each other.
    public let exclusions: [Exclusion]

    public init(
        _ name: String, version: String, summary: String, commands: [CommandSpecification],
        globals: [any OptionDeclaration], exclusions: [Exclusion] = []
    ) {
        self.name = name
        self.version = version
        self.summary = summary
        self.commands = commands
        self.exclusions = exclusions
        self.globals = OptionSection("Global options", globals + [Self.help, Self.versionFlag])
    }

    static let help = Flag("help", letter: "h", help: "Show this help and end")
    static let versionFlag = Flag("version", help: "Show the version and end")

    /// What `--version` prints.
    public var versionText: String { "\(name) \(version)" }

    /// What `--version --json` prints: `{"name":…,"version":…}`.
    public var versionJSON: String { JSONText.object(["name": name, "version": version]) }
}

/// What a command line asks for.
public enum Invocation: Sendable {
    case version(ParsedArguments)
    case help(HelpTopic, ParsedArguments)
    case run(CommandSpecification, ParsedArguments)
}
