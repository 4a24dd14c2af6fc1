extension ProgramSpecification {
    /// Reads a command line, without the program's own name.
    ///
    /// Global options may stand before the command too. `--help` and `--version` win over everything else that the line
    /// says, so that they can be added to a line that does not work.
    public func parse(_ words: [String]) throws(UsageError) -> Invocation {
        let commandIndex = firstArgument(of: words)
        let command = commandIndex.flatMap { longestCommand(at: words[$0...]) }
        var rest = words
        if let command, let commandIndex {
            rest.removeSubrange(commandIndex..<commandIndex + command.name.split(separator: " ").count)
        }
        if let commandIndex, command == nil { throw unknownCommand(words[commandIndex]) }
        if let early = try earlyEnd(of: rest, command) { return early }
        guard let command else {
            var parser = ArgumentParser(words, for: nil, globals: globals)
            try parser.parseWords()
            throw .noCommand(known: commands.map(\.name))
        }
        var parser = ArgumentParser(rest, for: command, globals: globals)
        try parser.parseWords()
        try parser.finish(command, globalExclusions: exclusions)
        return .run(command, parser.parsed)
    }

    /// The error for a command that does not exist.
    public func unknownCommand(_ name: String) -> UsageError {
        let known = commands.map(\.name)
        return .unknownCommand(name, suggestion: NearestName.suggestion(for: name, among: known), known: known)
    }

    /// `--help` or `--version` before any `--`; what else the line says counts only as far as it can be read.
    private func earlyEnd(of words: [String], _ command: CommandSpecification?) throws(UsageError) -> Invocation? {
        let options = words.prefix { $0 != "--" }
        let asksHelp = options.contains { $0 == "--help" || $0 == "-h" }
        guard asksHelp || options.contains("--version") else { return nil }
        let flags = globals.options.filter { $0.arity == .flag }.map(\.spelling)
        var parser = ArgumentParser(options.filter(flags.contains), for: nil, globals: globals)
        try parser.parseWords()
        return asksHelp ? .help(command, parser.parsed) : .version(parser.parsed)
    }

    /// Where the command stands: the first word that is neither a global option nor the value of one.
    private func firstArgument(of words: [String]) -> Int? {
        var index = 0
        while index < words.count, ArgumentParser.looksLikeOption(words[index]) {
            let takesNext = globals.options.contains { $0.spelling == words[index] && $0.arity != .flag }
            index += takesNext ? 2 : 1
        }
        return index < words.count ? index : nil
    }

    /// `stats merge` is preferred to a command named `stats`.
    private func longestCommand(at words: ArraySlice<String>) -> CommandSpecification? {
        commands
            .filter { command in words.starts(with: command.name.split(separator: " ").map(String.init)) }
            .max { $0.name.count < $1.name.count }
    }
}
