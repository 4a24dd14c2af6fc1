#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif
import Synchronization

/// The wish of a user or a batch system that a job stops; jobs look at it between two units of work.
///
///     for group in groups {
///         try interruption.check()
///         …
///     }
public struct Interruption: Sendable {
    private let isAsked: @Sendable () -> Bool

    /// - Parameter isAsked: Whether to stop; asked between units, from any thread.
    public init(_ isAsked: @escaping @Sendable () -> Bool) { self.isAsked = isAsked }

    /// For jobs that nothing stops.
    public static let never = Interruption { false }

    /// SIGINT, SIGTERM, and SIGHUP where the starter of the process does not have it ignored (`nohup`): the first asks
    /// to stop, the second ends the process at once with 130. To be installed once.
    public static func bySignals() -> Interruption {
        // Made before a signal can come: a first use inside the handler would run its initialiser there.
        _ = received.load(ordering: .relaxed)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let previous = signal(number) { _ in
                // Only calls that are allowed in a signal handler.
                if received.wrappingAdd(1, ordering: .relaxed).oldValue > 0 { _exit(130) }
            }
            if number == SIGHUP && isIgnoring(previous) { signal(number, SIG_IGN) }
        }
        return Interruption { received.load(ordering: .relaxed) > 0 }
    }

    private static func isIgnoring(_ handler: (@convention(c) (Int32) -> Void)?) -> Bool {
        unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    public var isRequested: Bool { isAsked() }

    /// - Throws: `JobError.interrupted` if a stop is asked for.
    public func check() throws(JobError) {
        if isAsked() { throw .interrupted(kept: nil) }
    }
}

/// Signals received by this process; outside of the type, because a signal handler may capture nothing.
private let received = Atomic<Int>(0)
