/// Help for a terminal of 80 columns, made from the declarations alone.
public enum HelpText {
    static let width = 80
    /// Where the explanation of an option or argument begins.
    private static let column = 28

    public static func text(for topic: HelpTopic, of program: ProgramSpecification) -> String {
        switch topic {
        case .program: text(for: program)
        case .group(let family): text(for: family, of: program)
        case .command(let command): text(for: command, of: program)
        }
    }

    /// The same as a JSON document: `{"command":…,"help":…}`.
    public static func json(for topic: HelpTopic, of program: ProgramSpecification) -> String {
        JSONText.object(["command": topic.name, "help": text(for: topic, of: program)])
    }

    /// Help on one command.
    public static func text(for command: CommandSpecification, of program: ProgramSpecification) -> String {
        var blocks = [usage(of: command, program)]
        blocks.append(Wrapping.lines(command.summary + ".", width: width))
        if !command.discussion.isEmpty { blocks.append(Wrapping.lines(command.discussion, width: width)) }
        if !command.arguments.isEmpty {
            blocks.append(["Arguments:"] + command.arguments.flatMap { entry("  " + $0.usage, $0.help) })
        }
        blocks += (command.sections + [program.globals]).map(list).filter { !$0.isEmpty }
        if !command.examples.isEmpty {
            blocks.append(["Examples:"] + command.examples.flatMap(lines))
        }
        return joined(blocks)
    }

    /// Help on commands that share their first word.
    private static func text(for family: CommandFamily, of program: ProgramSpecification) -> String {
        joined([
            ["Usage: \(program.name) \(family.word) <command> [arguments]"], list(family.commands),
            list(program.globals),
            ["'\(program.name) help \(family.word) <command>' explains a command."],
        ])
    }

    /// Help on the program: its commands and global options.
    public static func text(for program: ProgramSpecification) -> String {
        joined([
            ["Usage: \(program.name) <command> [arguments]"],
            Wrapping.lines(program.summary + ".", width: width),
            list(program.commands),
            list(program.globals),
            ["Exit codes:"] + ExitCode.allCases.flatMap { entry("  \($0.rawValue)", $0.meaning) },
            ["'\(program.name) help <command>' explains a command."],
        ])
    }

    /// Blocks with an empty line between them.
    private static func joined(_ blocks: [[String]]) -> String {
        blocks.map { $0.joined(separator: "\n") }.joined(separator: "\n\n") + "\n"
    }

    private static func list(_ commands: [CommandSpecification]) -> [String] {
        ["Commands:"] + commands.flatMap { entry("  " + $0.name, $0.summary) }
    }

    /// The options of a section under its title; nothing where all are hidden.
    private static func list(_ section: OptionSection) -> [String] {
        let options = section.options.filter { !$0.isHidden }
        return options.isEmpty
            ? [] : ["\(section.title):"] + options.flatMap { entry("  " + $0.usage, help(of: $0)) }
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
