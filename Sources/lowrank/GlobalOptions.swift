import CommandLineKit

/// The options that every command takes.
enum GlobalOptions {
    static let threads = Option(
        "threads", .integer("N", from: 1, to: 1024), help: "Threads to use, by default all that there are")
    static let seed = Setting("seed", .seed(), default: 0, help: "Seed of every random number")
    static let json = Flag("json", help: "Print the result as one JSON document")
    static let quiet = Flag("quiet", letter: "q", help: "No notices and no progress")
    static let verbose = Flag("verbose", letter: "v", help: "Tell more about the work")
    static let force = Flag("force", help: "Replace an output that exists")
    static let noColor = Flag("no-color", help: "No colours; so does NO_COLOR=1")

    static let all: [any OptionDeclaration] = [threads, seed, json, quiet, verbose, force, noColor]

    static let exclusions = [Exclusion("amount of talk", [quiet, verbose])]

    /// How the terminal behaves for these words. Works on words that do not parse too, so that an error is shown in the
    /// form that was asked for.
    static func terminalSettings(words: [String], environment: [String: String]) -> TerminalSettings {
        let options = words.prefix { $0 != "--" }
        func isGiven(_ flag: Flag) -> Bool {
            let specification = flag.specification
            return options.contains { word in
                // One letter may stand among others: -qv.
                let isLetters = word.hasPrefix("-") && !word.hasPrefix("--")
                return word == specification.spelling || isLetters && word.contains { $0 == specification.letter }
            }
        }
        var settings = TerminalSettings()
        settings.isQuiet = isGiven(quiet)
        settings.isVerbose = isGiven(verbose)
        settings.usesJSON = isGiven(json)
        settings.usesColor = !isGiven(noColor) && (environment["NO_COLOR"] ?? "").isEmpty
        return settings
    }
}
