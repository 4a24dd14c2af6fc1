/// Completion for zsh, to be saved as `_<program>` in a folder of `$fpath`.
struct ZshCompletion {
    let program: ProgramSpecification

    var script: String {
        """
        #compdef \(program.name)
        # zsh completion for \(program.name)
        _\(program.name)() {
            local -a commands
            commands=(
        \(program.families.map { "        " + quoted($0.word + ":" + $0.summary) }.joined(separator: "\n"))
            )
            if (( CURRENT == 2 )); then
                _describe command commands
                return
            fi
            shift words
            (( CURRENT-- ))
            case "$words[1]" in
        \(program.families.map(arguments).joined(separator: "\n"))
            esac
        }
        _\(program.name) "$@"

        """
    }

    private func arguments(of family: CommandFamily) -> String {
        let options = (family.options + program.visibleGlobals).flatMap(specifications)
        let lines = (options + positional(family)).map { "                \(quoted($0))" }
        return "        \(family.word))\n            _arguments \\\n" + lines.joined(separator: " \\\n") + " ;;"
    }

    private func positional(_ family: CommandFamily) -> [String] {
        if family.commands.count > 1 || family.commands[0].name != family.word {
            return ["1:command:(\(program.followers(of: family).joined(separator: " ")))", "*:file:_files"]
        }
        return family.commands[0].arguments.enumerated().map { index, argument in
            let place = argument.count == .oneOrMore || argument.count == .any ? "*" : "\(index + 1)"
            return "\(place):\(argument.name):\(action(argument.value.completion))"
        }
    }

    private func specifications(of option: OptionSpecification) -> [String] {
        let repeats = option.arity == .repeatable || option.arity == .variadic ? "*" : ""
        let help = option.help.filter { !"[]".contains($0) }
        return option.allSpellings.map { spelling in
            if option.arity == .flag { return "\(spelling)[\(help)]" }
            return "\(repeats)\(spelling)[\(help)]:\(option.value.placeholder):\(action(option.value.completion))"
        }
    }

    private func action(_ completion: ValueCompletion) -> String {
        switch completion {
        case .nothing: " "
        case .files: "_files"
        case .folders: "_files -/"
        case .choices(let words): "(\(words.joined(separator: " ")))"
        case .commands: "(\(program.families.map(\.word).joined(separator: " ")))"
        }
    }

    private func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
