/// The shells that completions are written for.
public enum Shell: String, Sendable, CaseIterable {
    case bash
    case zsh
    case fish
}

extension ProgramSpecification {
    /// A script that teaches `shell` to complete every command and option of the program.
    public func completions(for shell: Shell) -> String {
        switch shell {
        case .bash: BashCompletion(program: self).script
        case .zsh: ZshCompletion(program: self).script
        case .fish: FishCompletion(program: self).script
        }
    }

    /// The commands by their first word, in order.
    var families: [CommandFamily] {
        var families: [CommandFamily] = []
        for command in commands {
            let word = String(command.name.prefix { $0 != " " })
            if let index = families.firstIndex(where: { $0.word == word }) {
                families[index].commands.append(command)
            } else {
                families.append(CommandFamily(word: word, commands: [command]))
            }
        }
        return families
    }

    var visibleGlobals: [OptionSpecification] { globals.options.filter { !$0.isHidden } }

    /// Words known in advance that may follow: second words of names, and arguments that are choices.
    func followers(of family: CommandFamily) -> [String] {
        let second = family.commands.filter { $0.name != family.word }
            .map { String($0.name.dropFirst(family.word.count + 1)) }
        return family.commands.flatMap(\.arguments).reduce(into: second) { words, argument in
            switch argument.value.completion {
            case .choices(let choices): words += choices
            case .commands: words += families.map(\.word)
            case .nothing, .files, .folders: break
            }
        }
    }
}

/// A command, or several that share their first word and complete together: `stats show` and `stats merge`.
struct CommandFamily {
    let word: String
    var commands: [CommandSpecification]

    var summary: String { commands[0].summary }

    /// The options of all members, each once, without hidden ones.
    var options: [OptionSpecification] {
        var seen = Set<String>()
        return commands.flatMap(\.options).filter { !$0.isHidden && seen.insert($0.name).inserted }
    }
}

extension OptionSpecification {
    /// `--keep` and `-k`, as far as they exist.
    var allSpellings: [String] { [spelling] + (letter.map { ["-\($0)"] } ?? []) }
}
