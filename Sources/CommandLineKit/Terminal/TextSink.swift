#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif
import Synchronization

/// Where text goes: a standard stream, or memory in tests.
public protocol TextSink: Sendable {
    /// Whether a person is watching, so that a line may be redrawn.
    var isTerminal: Bool { get }
    /// Width of the terminal in characters.
    var columns: Int { get }
    func write(_ text: String)
    /// Why text was lost, as an `errno`; nil where none was, or where the reader has gone away.
    var failure: Int32? { get }
}

/// Standard output or standard error.
public final class StandardStream: TextSink {
    private let descriptor: Int32
    /// Of the first call that failed.
    private let firstFailure = Mutex<Int32?>(nil)

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    public static let output = StandardStream(descriptor: 1)
    public static let error = StandardStream(descriptor: 2)

    /// Puts something that neither reads nor writes in the place of streams that the starter of the program has closed:
    /// the first files to be opened would take their numbers, and get what is meant for a reader.
    public static func occupyClosedStreams() {
        for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) == -1 {
            // The lowest free number is this one. What can be neither written to nor read from says so, as if closed.
            _ = open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY)
        }
    }

    /// A terminal that calls itself dumb cannot redraw a line; it is a log.
    public var isTerminal: Bool { isatty(descriptor) == 1 && getenv("TERM").map { strcmp($0, "dumb") } != 0 }

    public var columns: Int {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    public var failure: Int32? { firstFailure.withLock { $0 } }

    /// Writes all of the text. A reader that has gone away is no error: the rest is dropped.
    public func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while let base = rest.baseAddress, !rest.isEmpty {
                let written = systemWrite(descriptor, base, rest.count)
                if written > 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
                } else if errno == EAGAIN {
                    // The starter of the program has made the stream one that does not wait.
                    var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&waiting, 1, -1)
                } else if errno != EINTR {
                    let code = errno
                    if code != EPIPE { firstFailure.withLock { $0 = $0 ?? code } }
                    return
                }
            }
        }
    }
}

/// `write` of the system, which the method of the same name hides.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}

/// Text kept in memory.
public final class TextCapture: TextSink {
    public let isTerminal: Bool
    public let columns: Int
    public let failure: Int32?
    private let content = Mutex("")

    /// - Parameter failure: what the sink claims to have failed with.
    public init(isTerminal: Bool = false, columns: Int = 80, failure: Int32? = nil) {
        self.isTerminal = isTerminal
        self.columns = columns
        self.failure = failure
    }

    public var text: String { content.withLock { $0 } }

    public func write(_ text: String) { content.withLock { $0 += text } }
}
