/// Completion for bash 4 and later, to be read by `source` or put into the completions folder.
struct BashCompletion {
    let program: ProgramSpecification

    var script: String {
        let words = program.families.map(\.word)
        let globals = program.visibleGlobals.map(\.spelling)
        return """
            # bash completion for \(program.name); load it with: source <(\(program.name) completions bash)
            _\(program.name)() {
                local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"
                local command="" options="" followers="" word
                for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
                    case "$word" in
                        \(words.joined(separator: "|"))) command="$word"; break ;;
                    esac
                done
                # Values of options; an empty answer leaves the place to file names.
                case "$command $previous" in
            \(indented(program.families.flatMap(valueCases)))
                esac
                case "$command" in
                    "") options="\(globals.joined(separator: " "))" followers="\(words.joined(separator: " "))" ;;
            \(indented(program.families.map(wordsCase)))
                esac
                if [[ "$current" == -* ]]; then
                    COMPREPLY=($(compgen -W "$options" -- "$current"))
                else
                    COMPREPLY=($(compgen -W "$followers" -- "$current"))
                fi
            }
            complete -o default -F _\(program.name) \(program.name)

            """
    }

    private func wordsCase(of family: CommandFamily) -> String {
        let options = (family.options + program.visibleGlobals).map(\.spelling).joined(separator: " ")
        let followers = program.followers(of: family).joined(separator: " ")
        return "\(family.word)) options=\"\(options)\" followers=\"\(followers)\" ;;"
    }

    private func valueCases(of family: CommandFamily) -> [String] {
        (family.options + program.visibleGlobals).filter { $0.arity != .flag }.map { option in
            let patterns = option.allSpellings.map { "\"\(family.word) \($0)\"" }.joined(separator: "|")
            guard case .choices(let choices) = option.value.completion else { return "\(patterns)) return ;;" }
            let list = choices.joined(separator: " ")
            return "\(patterns)) COMPREPLY=($(compgen -W \"\(list)\" -- \"$current\")); return ;;"
        }
    }

    private func indented(_ lines: [String]) -> String {
        lines.map { "        " + $0 }.joined(separator: "\n")
    }
}
