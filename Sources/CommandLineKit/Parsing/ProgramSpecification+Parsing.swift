extension ProgramSpecification {
    /// Reads a command line, without the program's own name.
    ///
    /// Global options may stand before the command too, and between the words of its name. `--help` and `--version` win
    /// over everything else that the line says, so that they can be added to a line that does not work.
    public func parse(_ words: [String]) throws(UsageError) -> Invocation {
        let places = namePlaces(in: words)
        let name = places.map { words[$0] }
        guard let command = longestCommand(name) else { return try parse(words, withoutCommand: name) }
        var rest = words
        for place in places.prefix(command.words.count).reversed() { rest.remove(at: place) }
        if let early = try earlyEnd(of: rest, .command(command)) { return early }
        var parser = ArgumentParser(rest, for: command, globals: globals)
        try parser.parseWords()
        try parser.finish(command, globalExclusions: exclusions)
        return .run(command, parser.parsed)
    }

    /// What the words behind `help` name.
    /// - Throws: `UsageError` for a command that does not exist, and for words behind one.
    public func topic(_ words: [String]) throws(UsageError) -> HelpTopic {
        guard let first = words.first else { return .program }
        if let command = longestCommand(words) {
            guard words.count == command.words.count else { throw .extraArgument(words[command.words.count]) }
            return .command(command)
        }
        if words.count == 1, let group = group(named: first) { return .group(group) }
        throw unknownCommand(words)
    }

    /// The error for a command that does not exist.
    /// - Parameter words: the words of its name, and perhaps what stands behind them; at least one.
    public func unknownCommand(_ words: [String]) -> UsageError {
        let pair = words.prefix(2).joined(separator: " ")
        if let group = group(named: words[0]), words.count > 1 {
            let member = NearestName.suggestion(for: words[1], among: group.members)
            return .unknownCommand(
                pair, suggestion: member.map { "\(group.word) \($0)" }, known: group.commands.map(\.name))
        }
        let known = commands.map(\.name)
        let nearest = NearestName.suggestion(for: words[0], among: families.map(\.word))
        if let group = group(named: nearest), words.count > 1,
            let member = NearestName.suggestion(for: words[1], among: group.members) {
            return .unknownCommand(pair, suggestion: "\(group.word) \(member)", known: known)
        }
        return .unknownCommand(words[0], suggestion: nearest, known: known)
    }

    /// A line whose first words are no command.
    private func parse(_ words: [String], withoutCommand name: [String]) throws(UsageError) -> Invocation {
        if name.count > 1 { throw unknownCommand(name) }
        let topic = try topic(name)
        if let early = try earlyEnd(of: words, topic) { return early }
        if case .group(let group) = topic { throw .incompleteCommand(group.word, known: group.commands.map(\.name)) }
        var parser = ArgumentParser(words, for: nil, globals: globals)
        try parser.parseWords()
        throw .noCommand(known: commands.map(\.name))
    }

    /// `--help` or `--version` before any `--`; what else the line says counts only as far as it can be read.
    private func earlyEnd(of words: [String], _ topic: HelpTopic) throws(UsageError) -> Invocation? {
        let options = words.prefix { $0 != "--" }
        let asksHelp = options.contains { $0 == "--help" || $0 == "-h" }
        guard asksHelp || options.contains("--version") else { return nil }
        let flags = globals.options.filter { $0.arity == .flag }.map(\.spelling)
        var parser = ArgumentParser(options.filter(flags.contains), for: nil, globals: globals)
        try parser.parseWords()
        return asksHelp ? .help(topic, parser.parsed) : .version(parser.parsed)
    }

    /// Where the words stand that may be a command's name: the first ones, as many as the longest name has, that are
    /// neither global options nor the values of such.
    private func namePlaces(in words: [String]) -> [Int] {
        let most = commands.map(\.words.count).max() ?? 1
        var places: [Int] = []
        var index = 0
        while index < words.count, places.count < most {
            guard ArgumentParser.looksLikeOption(words[index]) else {
                places.append(index)
                index += 1
                continue
            }
            let name = words[index].prefix { $0 != "=" }
            let global = globals.options.first { $0.allSpellings.contains(String(name)) }
            // Behind the first word an option may be the command's, and the next word its value.
            if global == nil && !places.isEmpty { break }
            let takesNext = global.map { $0.arity != .flag && name.count == words[index].count } ?? false
            index += takesNext ? 2 : 1
        }
        return places
    }

    /// `stats merge` is preferred to a command named `stats`.
    private func longestCommand(_ name: [String]) -> CommandSpecification? {
        commands.filter { name.starts(with: $0.words) }.max { $0.words.count < $1.words.count }
    }
}
