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

    /// The words of a command's name; none for the program itself.
    private let words: [String]
    private let asManual: Bool

    init(_ arguments: ParsedArguments) {
        words = arguments[Self.command].flatMap { $0.split(separator: " ").map(String.init) }
        asManual = arguments[Self.manual]
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let topic = try context.program.topic(words)
        if asManual {
            let page = ManualPage.text(for: topic, of: context.program)
            context.terminal.publish(text: { page }, json: { JSONText.object(["command": topic.name, "man": page]) })
        } else {
            Self.show(topic, of: context.program, context.terminal)
        }
        return .done
    }

    static func show(_ topic: HelpTopic, of program: ProgramSpecification, _ terminal: Terminal) {
        terminal.publish(
            text: { HelpText.text(for: topic, of: program) }, json: { HelpText.json(for: topic, of: program) })
    }
}
