#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif
import Synchronization

/// How much a terminal shows, and how.
public struct TerminalSettings: Sendable {
    /// Warnings and errors only.
    public var isQuiet = false
    public var isVerbose = false
    /// Errors are also given as JSON on standard output.
    public var usesJSON = false
    public var usesColor = true

    public init() {}
}

/// The two streams of a program: results on standard output, everything else on standard error.
///
/// Progress is a bar with rate and time left where standard error is a terminal, a plain line now and then where it is
/// not, and nothing with `--quiet`.
public final class Terminal: ProgressReporter {
    /// Seconds between two drawings of a bar, and between two plain lines.
    private static let barInterval = 0.1, lineInterval = 10.0

    public let settings: TerminalSettings
    private let program: String
    private let output: any TextSink
    private let errors: any TextSink
    /// Seconds of a clock that never goes back.
    private let clock: @Sendable () -> Double
    /// The stage under way; its lock also keeps lines of two threads apart.
    private let stage = Mutex<ProgressState?>(nil)

    /// - Parameter program: The name in front of errors and warnings.
    public init(
        program: String, settings: TerminalSettings, output: any TextSink = StandardStream.output,
        errors: any TextSink = StandardStream.error, clock: @escaping @Sendable () -> Double = Terminal.steadySeconds
    ) {
        self.program = program
        self.output = output
        self.errors = errors
        self.clock = clock
        var settings = settings
        settings.usesColor = settings.usesColor && errors.isTerminal
        self.settings = settings
    }

    /// Seconds since some moment before the start of the program, by the steady clock.
    public static let steadySeconds: @Sendable () -> Double = {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    // MARK: Results

    /// Text of a result, with a line end.
    public func print(_ text: String) { output.write(text.hasSuffix("\n") ? text : text + "\n") }

    /// Part of a result, as it comes, without a line end.
    public func write(_ text: String) { output.write(text) }

    /// The result in the one form that was asked for; the other is not made.
    public func publish(text: () throws -> String, json: () throws -> String) rethrows {
        print(try settings.usesJSON ? json() : text())
    }

    /// What ends the program if a result could not be written; nil where all of it was.
    public var outputFailure: Failure? {
        output.failure.map { code in
            Failure(.inputOutput, "standard output cannot be written: \(String(cString: strerror(code)))")
        }
    }

    /// The one message of a run that failed.
    public func report(_ failure: Failure) {
        show(failure.sentence, label: "error", color: "31")
        if settings.usesJSON { print(failure.json) }
    }

    // MARK: Progress

    public func log(_ level: LogLevel, _ message: String) {
        switch level {
        case .detail: if settings.isVerbose && !settings.isQuiet { show(message) }
        case .notice: if !settings.isQuiet { show(message) }
        case .warning: show(message, label: "warning", color: "33")
        }
    }

    public func log(_ level: LogLevel, longestOf forms: [String]) {
        let isNarrow = errors.isTerminal && !settings.isVerbose
        if let form = isNarrow ? forms.first(where: { $0.count <= errors.columns }) ?? forms.last : forms.first {
            log(level, form)
        }
    }

    public func begin(_ stage: ProgressStage) {
        end()
        guard !settings.isQuiet else { return }
        self.stage.withLock { current in
            let state = ProgressState(stage, at: clock())
            current = state
            if errors.isTerminal { draw(state, at: state.start) }
        }
    }

    public func advance(by amount: Int, _ label: String) {
        stage.withLock { current in
            guard var state = current else { return }
            state.done += amount
            state.label = label
            let now = clock()
            if now - state.lastShown >= (errors.isTerminal ? Self.barInterval : Self.lineInterval) {
                if errors.isTerminal { draw(state, at: now) } else { errors.write(state.line(at: now) + "\n") }
                state.lastShown = now
            }
            current = state
        }
    }

    public func end() {
        stage.withLock { current in
            guard let state = current else { return }
            // A stage that failed at once has nothing to tell; the error follows.
            let summary = state.hasFailedAtOnce ? "" : state.summary(at: clock()) + "\n"
            errors.write((errors.isTerminal ? Self.eraseLine : "") + summary)
            current = nil
        }
    }

    // MARK: Lines

    private static let eraseLine = "\r\u{1B}[K"

    /// Writes a line, above the bar if there is one.
    private func show(_ message: String, label: String? = nil, color: String = "0") {
        var line = message + "\n"
        if let label {
            let marked = settings.usesColor ? "\u{1B}[1;\(color)m\(label):\u{1B}[0m" : "\(label):"
            line = "\(program): \(marked) \(line)"
        }
        stage.withLock { current in
            guard let state = current, errors.isTerminal else { return errors.write(line) }
            errors.write(Self.eraseLine + line)
            draw(state, at: clock())
        }
    }

    private func draw(_ state: ProgressState, at now: Double) {
        errors.write(Self.eraseLine + state.bar(at: now, columns: errors.columns))
    }
}
