/// Help for a terminal of 80 columns, made from the declarations alone.
public enum HelpText {
    static let width = 80
    /// Where the explanation of an option or argument begins.
    private static let column = 28

    /// Help on one command, or on the program.
    public static func text(for command: CommandSpecification?, of program: ProgramSpecification) -> String {
        command.map { text(for: $0, of: program) } ?? text(for: program)
    }

    /// The same as a JSON document: `{"command":…,"help":…}`.
    public static func json(for command: CommandSpecification?, of program: ProgramSpecification) -> String {
        JSONText.object(["command": command?.name ?? "", "help": text(for: command, of: program)])
    }

    /// Help on one command.
    public static func text(for command: CommandSpecification, of program: ProgramSpecification) -> String {
        var blocks = [usage(of: command, program)]
        blocks.append(Wrapping.lines(command.summary + ".", width: width))
        if !command.discussion.isEmpty { blocks.append(Wrapping.lines(command.discussion, width: width)) }
        if !command.arguments.isEmpty {
            blocks.append(["Arguments:"] + command.arguments.flatMap { entry("  " + $0.usage, $0.help) })
        }
        blocks += (command.sections + [program.globals]).compactMap { section in
            let options = section.options.filter { !$0.isHidden }
            if options.isEmpty { return nil }
            return ["\(section.title):"] + options.flatMap { entry("  " + $0.usage, help(of: $0)) }
        }
        if !command.examples.isEmpty {
            blocks.append(["Examples:"] + command.examples.flatMap(lines))
        }
        return blocks.map { $0.joined(separator: "\n") }.joined(separator: "\n\n") + "\n"
    }

    /// Help on the program: its commands and global options.
    public static func text(for program: ProgramSpecification) -> String {
        let commands = program.commands.flatMap { entry("  " + $0.name, $0.summary) }
        let options = program.globals.options.filter { !$0.isHidden }.flatMap { entry("  " + $0.usage, help(of: $0)) }
        let blocks = [
            ["Usage: \(program.name) <command> [arguments]"],
            Wrapping.lines(program.summary + ".", width: width),
            ["Commands:"] + commands,
            ["\(program.globals.title):"] + options,
            ["Exit codes:"] + ExitCode.allCases.flatMap { entry("  \($0.rawValue)", $0.meaning) },
            ["'\(program.name) help <command>' explains a command."],
        ]
        return blocks.map { $0.joined(separator: "\n") }.joined(separator: "\n\n") + "\n"
    }

    /// `Usage: lowrank compress CKPT -o FOLDER [options]`
    private static func usage(of command: CommandSpecification, _ program: ProgramSpecification) -> [String] {
        let required = command.options.filter(\.isRequired).map(\.shortestUsage)
        let words = command.arguments.map(\.usage) + required + ["[options]"]
        let prefix = "Usage: \(program.name) \(command.name) "
        return Wrapping.hanging(words.joined(separator: " "), prefix: prefix, indent: prefix.count)
    }

    /// The help of an option with what the declaration adds: repetition, default, the words allowed.
    static func help(of option: OptionSpecification) -> String {
        var notes: [String] = []
        if case .choices(let words) = option.value.completion {
            let list = words.joined(separator: "|")
            if option.value.placeholder != list { notes.append("one of " + words.joined(separator: ", ")) }
        }
        if option.isRequired { notes.append("required") }
        if option.arity == .repeatable { notes.append("repeatable") }
        if let text = option.defaultText { notes.append("default: \(text)") }
        return option.help + (notes.isEmpty ? "" : " (\(notes.joined(separator: "; ")))")
    }

    private static func entry(_ name: String, _ help: String) -> [String] {
        if name.count + 2 > column {
            let margin = String(repeating: " ", count: column)
            return [name] + Wrapping.hanging(help, prefix: margin, indent: column, width: width)
        }
        let prefix = name + String(repeating: " ", count: column - name.count)
        return Wrapping.hanging(help, prefix: prefix, indent: column, width: width)
    }

    private static func lines(of example: Example) -> [String] {
        Wrapping.hanging(example.explanation + ":", prefix: "  ", indent: 2, width: width) + ["    \(example.command)"]
    }
}
