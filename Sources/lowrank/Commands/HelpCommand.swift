import CommandLineKit

/// `lowrank help [command]`
struct HelpCommand: Command {
    static let command = ArgumentList(.command(), mayBeEmpty: true, help: "the command to explain")

    static let manual = Flag("man", help: "Print a page for the Unix manual instead")

    static let specification = CommandSpecification(
        "help", summary: "Explain the program or a command", arguments: [command],
        sections: [OptionSection("Options", [manual])],
        examples: [
            Example("lowrank help completions", "Explain one command"),
            Example("lowrank help --man > lowrank.1", "Make the manual page of the program"),
        ])

    /// Empty for the program itself.
    private let name: String
    private let asManual: Bool

    init(_ arguments: ParsedArguments) {
        name = arguments[Self.command].joined(separator: " ")
        asManual = arguments[Self.manual]
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let command = context.program.command(named: name)
        if command == nil && !name.isEmpty { throw context.program.unknownCommand(name) }
        if asManual {
            let page = ManualPage.text(for: command, of: context.program)
            context.terminal.publish(text: { page }, json: { JSONText.object(["command": name, "man": page]) })
        } else {
            Self.show(command, of: context.program, context.terminal)
        }
        return .done
    }

    /// - Parameter command: nil for help on the program.
    static func show(_ command: CommandSpecification?, of program: ProgramSpecification, _ terminal: Terminal) {
        terminal.publish(
            text: { HelpText.text(for: command, of: program) }, json: { HelpText.json(for: command, of: program) })
    }
}
