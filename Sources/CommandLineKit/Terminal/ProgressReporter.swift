/// Where a long job tells how it goes. Jobs know only this, so they run without a process or a terminal.
///
/// Every call may come from any thread. A job reports each stage once:
///
///     progress.begin(ProgressStage("compress", total: 224, unit: .items("tensors")))
///     …
///     progress.advance(by: 1, "model.layers.0.mlp.up_proj")
///     …
///     progress.end()
public protocol ProgressReporter: Sendable {
    /// A line about the work.
    func log(_ level: LogLevel, _ message: String)
    /// A line in several forms, the longest first: a terminal shows the longest that fits its width, or
    /// the last; a log, or --verbose, the first.
    func log(_ level: LogLevel, longestOf forms: [String])
    /// Starts a stage and ends the one before it.
    func begin(_ stage: ProgressStage)
    /// `amount` more units of the stage are done; `label` says what is being worked on.
    func advance(by amount: Int, _ label: String)
    /// Ends the stage.
    func end()
}

extension ProgressReporter {
    public func log(_ level: LogLevel, longestOf forms: [String]) {
        if let longest = forms.first { log(level, longest) }
    }
}

/// How much a line matters.
public enum LogLevel: Sendable {
    /// Shown with `--verbose`.
    case detail
    /// Shown without `--quiet`.
    case notice
    /// Shown always.
    case warning
}

/// A part of a job that can be counted.
public struct ProgressStage: Sendable {
    /// What is counted.
    public enum Unit: Sendable {
        /// Things, by their plural name.
        case items(String)
        case bytes
    }

    public let title: String
    public let total: Int
    public let unit: Unit
    /// Units that an earlier run did; they count as done and not into the rate.
    public let alreadyDone: Int

    public init(_ title: String, total: Int, unit: Unit, alreadyDone: Int = 0) {
        self.title = title
        self.total = total
        self.unit = unit
        self.alreadyDone = alreadyDone
    }
}

/// Reports nothing.
public struct SilentProgress: ProgressReporter {
    public init() {}
    public func log(_ level: LogLevel, _ message: String) {}
    public func begin(_ stage: ProgressStage) {}
    public func advance(by amount: Int, _ label: String) {}
    public func end() {}
}
