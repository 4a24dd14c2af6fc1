import CommandLineKit

/// `lowrank help [command]`
struct HelpCommand: Command {
    static let command = ArgumentList(.command(), mayBeEmpty: true, help: "the command to explain")

    static let specification = CommandSpecification(
        "help", summary: "Explain the program or a command", arguments: [command],
        examples: [Example("lowrank help completions", "Explain one command")])

    /// Empty for the program itself.
    private let name: String

    init(_ arguments: ParsedArguments) {
        name = arguments[Self.command].joined(separator: " ")
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let command = context.program.command(named: name)
        if command == nil && !name.isEmpty { throw context.program.unknownCommand(name) }
        Self.show(command, of: context.program, context.terminal)
        return .done
    }

    /// - Parameter command: nil for help on the program.
    static func show(_ command: CommandSpecification?, of program: ProgramSpecification, _ terminal: Terminal) {
        terminal.publish(
            text: { HelpText.text(for: command, of: program) }, json: { HelpText.json(for: command, of: program) })
    }
}
