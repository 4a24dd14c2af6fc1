/// Completion for fish, to be saved as `<program>.fish` in fish's completions folder.
struct FishCompletion {
    let program: ProgramSpecification

    var script: String {
        let start = "complete -c \(program.name)"
        var lines = ["# fish completion for \(program.name)"]
        lines += program.families.map { "\(start) -n __fish_use_subcommand -f -a \($0.word) -d \(quoted($0.summary))" }
        lines += program.visibleGlobals.map { start + rules(of: $0) }
        for family in program.families {
            let seen = "\(start) -n '__fish_seen_subcommand_from \(family.word)'"
            lines += family.options.map { seen + rules(of: $0) }
            let followers = program.followers(of: family)
            if !followers.isEmpty { lines.append("\(seen) -f -a \(quoted(followers.joined(separator: " ")))") }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func rules(of option: OptionSpecification) -> String {
        var words = " -l \(option.name)"
        if let letter = option.letter { words += " -s \(letter)" }
        switch (option.arity, option.value.completion) {
        case (.flag, _): break
        case (_, .choices(let choices)): words += " -x -a \(quoted(choices.joined(separator: " ")))"
        case (_, .files), (_, .folders): words += " -r -F"
        case (_, .nothing), (_, .commands): words += " -x"
        }
        return words + " -d \(quoted(option.help))"
    }

    private func quoted(_ text: String) -> String {
        var escaped = ""
        for character in text {
            if character == "'" || character == "\\" { escaped.append("\\") }
            escaped.append(character)
        }
        return "'" + escaped + "'"
    }
}
