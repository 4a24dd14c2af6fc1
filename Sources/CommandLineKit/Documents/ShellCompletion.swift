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

    var visibleGlobals: [OptionSpecification] { globals.options.filter { !$0.isHidden } }

    /// Words known in advance that may follow: second words of names, and arguments that are choices.
    func followers(of family: CommandFamily) -> [String] {
        family.commands.flatMap(\.arguments).reduce(into: family.members) { words, argument in
            switch argument.value.completion {
            case .choices(let choices): words += choices
            case .commands: words += families.map(\.word)
            case .nothing, .files, .folders: break
            }
        }
    }
}

extension OptionSpecification {
    /// `--keep` and `-k`, as far as they exist.
    var allSpellings: [String] { [spelling] + (letter.map { ["-\($0)"] } ?? []) }
}
