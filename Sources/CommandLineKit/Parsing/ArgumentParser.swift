/// Reads the words of a command line by the rules of GNU getopt_long, without abbreviations.
///
/// Options and arguments may be mixed. `--name value`, `--name=value`, `-o value` and `-ovalue` give a value, `-qv` is
/// `-q -v`; `--` ends the options; `-` and negative numbers are arguments and values. A variadic option takes all words
/// up to the next option. An option that is not repeatable may be given once: two different budgets in one line are a
/// mistake, not a choice.
struct ArgumentParser {
    /// The words not read yet.
    private var words: ArraySlice<String>
    private let arguments: [ArgumentSpecification]
    private let options: [OptionSpecification]
    private let redirections: [String: String]
    private var positional: [String] = []
    /// The last variadic option that took a word.
    private var lastVariadic: String?
    private(set) var parsed: ParsedArguments

    /// - Parameter command: nil for a line without a command, where only the global options are known.
    init(_ words: [String], for command: CommandSpecification?, globals: OptionSection) {
        self.words = words[...]
        arguments = command?.arguments ?? []
        options = (command?.options ?? []) + globals.options
        redirections = command?.redirections ?? [:]
        parsed = ParsedArguments(declared: options.map(\.spelling) + arguments.map(\.name))
    }

    /// Reads every word and checks each for itself.
    mutating func parseWords() throws(UsageError) {
        while let word = words.popFirst() {
            if word == "--" {
                positional += words
                words = []
            } else if word.hasPrefix("--") {
                try parseLongOption(word)
            } else if Self.looksLikeOption(word) {
                try parseShortOption(word)
            } else {
                positional.append(word)
            }
        }
    }

    /// Distributes the arguments and checks that the line is complete and free of contradiction.
    mutating func finish(_ command: CommandSpecification, globalExclusions: [Exclusion]) throws(UsageError) {
        try assignArguments()
        for option in command.options where option.isRequired && !parsed.isGiven(option) {
            throw .missingOption(usage: "\(option.shortestUsage)", help: option.help)
        }
        for exclusion in command.exclusions + globalExclusions {
            let given = exclusion.options.filter(parsed.isGiven).map(\.spelling)
            if given.count > 1 { throw .conflict(choice: exclusion.choice, given: given) }
            if given.isEmpty && exclusion.isRequired {
                throw .nothingChosen(choice: exclusion.choice, among: exclusion.options.map(\.spelling))
            }
        }
    }

    // MARK: Options

    private mutating func parseLongOption(_ word: String) throws(UsageError) {
        let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        guard let option = options.first(where: { $0.name == name }) else { throw unknownOption(name) }
        try parse(option, spelledAs: option.spelling, attached: parts.count > 1 ? String(parts[1]) : nil)
    }

    private mutating func parseShortOption(_ word: String) throws(UsageError) {
        let letter = word[word.index(after: word.startIndex)]
        guard let option = options.first(where: { $0.letter == letter }) else {
            throw unknownOption(String(word.dropFirst()), written: word)
        }
        let rest = word.dropFirst(2)
        if option.arity == .flag, let next = rest.first, next != "=" {
            // `-qv` is `-q -v`.
            parsed.add(true, text: nil, for: option)
            return try parseShortOption("-" + rest)
        }
        let attached = rest.isEmpty ? nil : String(rest.first == "=" ? rest.dropFirst() : rest)
        try parse(option, spelledAs: "-\(letter)", attached: attached)
    }

    private mutating func parse(
        _ option: OptionSpecification, spelledAs spelling: String, attached: String?
    ) throws(UsageError) {
        if option.arity == .flag {
            if let attached { throw .unexpectedValue(option: spelling, value: attached) }
            return parsed.add(true, text: nil, for: option)
        }
        if option.arity == .single && parsed.isGiven(option) { throw .repeated(option: option.spelling) }
        if let attached {
            try addValue(attached, to: option, spelling)
        } else {
            try addValue(nextValue(for: option, spelling), to: option, spelling)
        }
        while option.arity == .variadic, let word = words.first, !Self.looksLikeOption(word) {
            lastVariadic = option.spelling
            words.removeFirst()
            try addValue(word, to: option, spelling)
        }
    }

    private mutating func nextValue(for option: OptionSpecification, _ spelling: String) throws(UsageError) -> String {
        let expectation = option.value.expectation
        guard let word = words.first else { throw .missingValue(option: spelling, expectation: expectation) }
        if Self.looksLikeOption(word) {
            throw .dashedValue(option: spelling, word: word, expectation: expectation)
        }
        words.removeFirst()
        return word
    }

    private mutating func addValue(
        _ text: String, to option: OptionSpecification, _ spelling: String
    ) throws(UsageError) {
        parsed.add(try Self.check(text, option.value, place: spelling), text: text, for: option)
    }

    // MARK: Arguments

    private mutating func assignArguments() throws(UsageError) {
        var rest = positional[...]
        for argument in arguments {
            guard let word = rest.popFirst() else {
                if argument.count == .optional || argument.count == .any { continue }
                throw .missingArgument(argument.name, help: argument.help, takenBy: lastVariadic)
            }
            parsed.add(try Self.check(word, argument.value, place: argument.name), for: argument)
            while argument.count == .oneOrMore || argument.count == .any, let word = rest.popFirst() {
                parsed.add(try Self.check(word, argument.value, place: argument.name), for: argument)
            }
        }
        if let extra = rest.first { throw .extraArgument(extra) }
    }

    // MARK: Rules

    /// A dash and something that is neither nothing nor a number.
    static func looksLikeOption(_ word: String) -> Bool {
        guard word.hasPrefix("-"), word.count > 1 else { return false }
        return !word.dropFirst().drop { $0 == "." }.prefix(1).allSatisfy { $0.isASCII && $0.isNumber }
    }

    private static func check(
        _ text: String, _ value: ValueSpecification, place: String
    ) throws(UsageError) -> any Sendable {
        if let typed = value.parse(text) { return typed }
        var reason = value.explain(text)
        if case .choices(let words) = value.completion, let word = NearestName.suggestion(for: text, among: words) {
            reason = "did you mean '\(word)'?"
        }
        throw .badValue(place: place, value: text, expectation: value.expectation, reason: reason)
    }

    private func unknownOption(_ name: String, written: String? = nil) -> UsageError {
        let spelling = written ?? "--\(name)"
        if let instead = redirections[name] { return .foreignOption(spelling, instead: instead) }
        let names = options.filter { !$0.isHidden }.map(\.name)
        return .unknownOption(
            spelling, suggestion: NearestName.suggestion(for: name, among: names).map { "--\($0)" })
    }
}

extension OptionSpecification {
    /// `-o FOLDER` or `--plan FILE`.
    var shortestUsage: String { "\(letter.map { "-\($0)" } ?? spelling) \(value.placeholder)" }
}
