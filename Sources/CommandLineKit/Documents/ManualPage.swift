/// A page of the Unix manual in `man(7)` macros, made from the declarations alone.
///
///     lowrank help --man compress > lowrank-compress.1
public struct ManualPage {
    private let program: ProgramSpecification
    private var lines: [String] = []

    public static func text(for topic: HelpTopic, of program: ProgramSpecification) -> String {
        var page = ManualPage(program: program)
        switch topic {
        case .program: page.writeProgram()
        case .group(let family): page.write(family)
        case .command(let command): page.write(command)
        }
        return page.lines.joined(separator: "\n") + "\n"
    }

    private init(program: ProgramSpecification) { self.program = program }

    private mutating func writeProgram() {
        writeHeading(program.name, summary: program.summary)
        writeCommands(program.commands, behind: program.name)
    }

    /// The page of the first word that several commands share.
    private mutating func write(_ family: CommandFamily) {
        writeHeading("\(program.name)-\(family.word)", summary: family.commands.map(\.name).joined(separator: ", "))
        writeCommands(family.commands, behind: "\(program.name) \(family.word)")
    }

    private mutating func writeCommands(_ commands: [CommandSpecification], behind words: String) {
        lines += [".SH SYNOPSIS", ".B \(Self.escaped(words))", ".I command", "[arguments]", ".SH COMMANDS"]
        for command in commands { writeEntry(command.name, command.summary) }
        writeOptions(program.globals)
        writeExitCodes()
    }

    private mutating func write(_ command: CommandSpecification) {
        writeHeading(([program.name] + command.words).joined(separator: "-"), summary: command.summary)
        let words = command.arguments.map(\.usage) + command.options.filter(\.isRequired).map(\.shortestUsage)
        lines += [
            ".SH SYNOPSIS", ".B \(Self.escaped("\(program.name) \(command.name)"))",
            Self.escaped((words + ["[options]"]).joined(separator: " ")),
        ]
        if !command.discussion.isEmpty { lines += [".SH DESCRIPTION"] + Self.paragraphs(command.discussion) }
        if !command.arguments.isEmpty {
            lines.append(".SH ARGUMENTS")
            for argument in command.arguments { writeEntry(argument.usage, argument.help) }
        }
        for section in command.sections { writeOptions(section) }
        if !command.examples.isEmpty {
            lines.append(".SH EXAMPLES")
            for example in command.examples {
                lines += [".PP", Self.escaped(example.explanation + ":"), ".PP", ".RS 4", ".nf"]
                lines += [Self.escaped(example.command), ".fi", ".RE"]
            }
        }
        writeOptions(program.globals)
        writeExitCodes()
    }

    private mutating func writeHeading(_ name: String, summary: String) {
        let title = Self.escaped(name.uppercased())
        lines += [
            ".TH \"\(title)\" 1 \"\" \"\(Self.escaped("\(program.name) \(program.version)"))\"", ".SH NAME",
            Self.escaped(name) + " \\- " + Self.escaped(summary),
        ]
    }

    private mutating func writeOptions(_ section: OptionSection) {
        let visible = section.options.filter { !$0.isHidden }
        if visible.isEmpty { return }
        lines.append(".SH \(Self.escaped(section.title.uppercased()))")
        for option in visible { writeEntry(option.usage.drop { $0 == " " }, HelpText.help(of: option)) }
    }

    private mutating func writeExitCodes() {
        lines.append(".SH EXIT STATUS")
        for code in ExitCode.allCases { writeEntry(String(code.rawValue), code.meaning) }
    }

    private mutating func writeEntry(_ name: some StringProtocol, _ help: String) {
        lines += [".TP", ".B \(Self.escaped(String(name)))", Self.escaped(help)]
    }

    private static func paragraphs(_ text: String) -> [String] {
        text.split(separator: "\n").flatMap { [".PP", escaped(String($0))] }
    }

    /// A line of text as text: no escape, no request, and dashes that can be copied into a shell.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\": result += "\\e"
            case "-": result += "\\-"
            case "\"": result += "\\(dq"
            default: result.append(character)
            }
        }
        return result.hasPrefix(".") || result.hasPrefix("'") ? "\\&" + result : result
    }
}
