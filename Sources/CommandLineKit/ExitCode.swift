/// How a run ended, as the shell sees it.
public enum ExitCode: Int32, Sendable, CaseIterable {
    /// The work is done.
    case done = 0
    /// The work is done, but a condition the user set is not met.
    case conditionNotMet = 1
    /// A bad flag or value, a pattern without a match, an output that is refused.
    case usage = 2
    /// A malformed or unsupported input.
    case badInput = 3
    /// The arithmetic failed.
    case numericFailure = 4
    /// The machine failed: no space, no permission.
    case inputOutput = 5
    /// Stopped by a signal.
    case interrupted = 130

    /// What it means, for help and the manual.
    public var meaning: String {
        switch self {
        case .done: "done"
        case .conditionNotMet: "done, but a condition that was set is not met"
        case .usage: "wrong option or value, or an output that is refused"
        case .badInput: "malformed or unsupported input"
        case .numericFailure: "the arithmetic failed"
        case .inputOutput: "the machine failed: no space, no permission"
        case .interrupted: "interrupted"
        }
    }

    /// The word for scripts, beside the number.
    public var kind: String {
        switch self {
        case .done: "done"
        case .conditionNotMet: "condition-not-met"
        case .usage: "usage"
        case .badInput: "bad-input"
        case .numericFailure: "numeric-failure"
        case .inputOutput: "input-output"
        case .interrupted: "interrupted"
        }
    }
}
