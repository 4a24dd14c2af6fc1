/// What can be wrong with a command line.
public enum UsageError: Error, Equatable, Sendable {
    case noCommand(known: [String])
    /// The first word of several commands, alone.
    case incompleteCommand(String, known: [String])
    case unknownCommand(String, suggestion: String?, known: [String])
    case unknownOption(String, suggestion: String?)
    /// The name belongs to another tool; `instead` says what to use here.
    case foreignOption(String, instead: String)
    case missingValue(option: String, expectation: String)
    /// The word after the option looks like an option.
    case dashedValue(option: String, word: String, expectation: String)
    case unexpectedValue(option: String, value: String)
    /// `place` is an option or an argument; `reason` what is wrong, where that can be said.
    case badValue(place: String, value: String, expectation: String, reason: String?)
    case repeated(option: String)
    case conflict(choice: String, given: [String])
    case nothingChosen(choice: String, among: [String])
    case missingOption(usage: String, help: String)
    /// `takenBy` is a variadic option that may have swallowed the argument.
    case missingArgument(String, help: String, takenBy: String?)
    case extraArgument(String)

    /// The one place that turns a case into a sentence.
    public var message: String {
        switch self {
        case .noCommand(let known):
            "no command; the commands are \(known.joined(separator: ", "))"
        case .incompleteCommand(let word, let known):
            "'\(word)' alone is no command; the commands are \(known.joined(separator: ", "))"
        case .unknownCommand(let name, let suggestion, let known):
            "unknown command '\(name)'; "
                + (suggestion.map { "did you mean '\($0)'?" } ?? "the commands are \(known.joined(separator: ", "))")
        case .unknownOption(let name, let suggestion):
            "unknown option \(name)" + (suggestion.map { "; did you mean \($0)?" } ?? "")
        case .foreignOption(let name, let instead):
            "unknown option \(name); here it is \(instead)"
        case .missingValue(let option, let expectation):
            "\(option) needs a value: expected \(expectation)"
        case .dashedValue(let option, let word, let expectation):
            "\(option) needs a value before \(word): expected \(expectation); "
                + "a value that starts with a dash is written \(option)=\(word)"
        case .unexpectedValue(let option, let value):
            "\(option) takes no value, found '\(value)'"
        case .badValue(let place, let value, let expectation, let reason):
            "\(place) '\(value)': expected \(expectation)" + (reason.map { "; \($0)" } ?? "")
        case .repeated(let option):
            "\(option) is given twice"
        case .conflict(let choice, let given):
            "one \(choice) only: \(given.joined(separator: " and ")) are given"
        case .nothingChosen(let choice, let among):
            "no \(choice): give one of \(among.joined(separator: ", "))"
        case .missingOption(let usage, let help):
            "\(usage) is missing: \(help)"
        case .missingArgument(let name, let help, let takenBy):
            "\(name) is missing: \(help)"
                + (takenBy.map {
                    "; \($0) takes every word up to the next option, so give \(name) before it or after --"
                } ?? "")
        case .extraArgument(let word):
            "unexpected argument '\(word)'"
        }
    }
}

extension UsageError: FailureConvertible {
    public var failure: Failure { Failure(.usage, message) }
}
