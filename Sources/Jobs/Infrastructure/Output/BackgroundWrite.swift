import Dispatch
import Synchronization

/// A write that goes on while the next matrices are computed: what it does is mostly to wait for the disk.
final class BackgroundWrite: Sendable {
    private let isDone = DispatchSemaphore(value: 0)
    private let failure = Mutex<(any Error)?>(nil)

    init(_ body: @escaping @Sendable () throws -> Void) {
        DispatchQueue.global().async { [self] in
            do {
                try body()
            } catch {
                failure.withLock { $0 = error }
            }
            isDone.signal()
        }
    }

    /// Waits for the end; to be called once.
    /// - Throws: What the write threw.
    func wait() throws {
        isDone.wait()
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
