/// A command, or several that share their first word: `stats show` and `stats merge`.
public struct CommandFamily: Sendable {
    /// The first word of all names.
    public let word: String
    /// In the order of the help text.
    public fileprivate(set) var commands: [CommandSpecification]

    /// Whether the word alone is no command.
    public var isGroup: Bool { commands.allSatisfy { $0.words.count > 1 } }

    /// What may stand behind the word, where that makes a command: `show`, `merge`.
    public var members: [String] {
        commands.filter { $0.words.count > 1 }.map { $0.words.dropFirst().joined(separator: " ") }
    }

    /// For a list of first words: that of the command, or what may stand behind.
    var summary: String { isGroup ? "One of \(members.joined(separator: ", "))" : commands[0].summary }

    /// The options of all members, each once, without hidden ones.
    var options: [OptionSpecification] {
        var seen = Set<String>()
        return commands.flatMap(\.options).filter { !$0.isHidden && seen.insert($0.name).inserted }
    }
}

extension ProgramSpecification {
    /// The commands by their first word, in order.
    public var families: [CommandFamily] {
        var families: [CommandFamily] = []
        for command in commands {
            let word = command.words[0]
            if let index = families.firstIndex(where: { $0.word == word }) {
                families[index].commands.append(command)
            } else {
                families.append(CommandFamily(word: word, commands: [command]))
            }
        }
        return families
    }

    /// The commands that share a first word which is none itself.
    func group(named word: String?) -> CommandFamily? { families.first { $0.word == word && $0.isGroup } }
}

/// What help is asked for.
public enum HelpTopic: Sendable {
    case program
    /// The first word of several commands.
    case group(CommandFamily)
    case command(CommandSpecification)

    /// Empty for the program.
    public var name: String {
        switch self {
        case .program: ""
        case .group(let family): family.word
        case .command(let command): command.name
        }
    }
}
