import Dispatch
import Foundation
import Synchronization

/// Threads that wait for the next piece of parallel work, awake for a moment and then asleep.
///
/// A decomposition is hundreds of short parallel loops with little between them. Waking a thread for each takes longer
/// than many of them last; a thread that looks for new work for some ten microseconds after the last is there at once.
///
/// One loop runs at a time; whoever finds the pool taken runs its loop otherwise (`run` returns false). A loop never
/// waits for a thread that has not begun, so a late one costs nothing.
final class WorkerPool: Sendable {
    static let shared = WorkerPool()

    private let isTaken = Atomic<Bool>(false)
    /// generation · 2¹⁷ + (open ? 2¹⁶ : 0) + threads at work besides the caller.
    private let state = Atomic<Int>(0)
    private let sleepers = Atomic<Int>(0)
    private let wakeUps = DispatchSemaphore(value: 0)
    // Written by whoever has taken the pool while no thread is at work.
    nonisolated(unsafe) private var body: (@Sendable (Int) -> Void)?
    nonisolated(unsafe) private var workers = 0
    nonisolated(unsafe) private var threads = 0

    private static let open = 1 << 16
    private static let generation = 1 << 17
    private static let countMask = (1 << 16) - 1
    /// Looks before a thread gives way to others, and times that it does so before it falls asleep.
    private static let looksPerYield = 64
    private static let yieldsBeforeSleep = 400

    /// body(0) … body(workers − 1), the first on the calling thread, the others only on threads that come in time.
    /// - Returns: false, with nothing done, if the pool is busy.
    func run(workers count: Int, _ body: @Sendable (Int) -> Void) -> Bool {
        guard !isTaken.exchange(true, ordering: .acquiring) else { return false }
        withoutActuallyEscaping(body) { body in
            self.body = body
            workers = count
            addThreads(upTo: count - 1)
            let opened = (state.load(ordering: .relaxed) & ~(Self.generation - 1)) + Self.generation + Self.open
            state.store(opened, ordering: .sequentiallyConsistent)
            for _ in 0..<min(sleepers.load(ordering: .sequentiallyConsistent), count - 1) { wakeUps.signal() }
            body(0)
            state.bitwiseAnd(~Self.open, ordering: .acquiringAndReleasing)
            wait { state.load(ordering: .acquiring) & Self.countMask == 0 }
            self.body = nil
        }
        isTaken.store(false, ordering: .releasing)
        return true
    }

    private func addThreads(upTo wanted: Int) {
        while threads < wanted {
            threads += 1
            let index = threads
            Thread.detachNewThread { [self] in serve(index) }
        }
    }

    /// The life of thread number `index`, from 1.
    private func serve(_ index: Int) -> Never {
        var last = 0
        while true {
            let joined = join(after: last)
            last = joined / Self.generation
            if index < workers { body?(index) }
            state.subtract(1, ordering: .releasing)
        }
    }

    /// Waits for a loop newer than `last` and takes part in it.
    private func join(after last: Int) -> Int {
        while true {
            let seen = state.load(ordering: .acquiring)
            if Self.isOpen(seen, after: last) {
                let (joined, _) = state.compareExchange(
                    expected: seen, desired: seen + 1, ordering: .acquiringAndReleasing)
                if joined { return seen }
                continue
            }
            var yields = 0
            wait(limit: &yields) { Self.isOpen(state.load(ordering: .relaxed), after: last) }
            if yields == Self.yieldsBeforeSleep { sleep(after: last) }
        }
    }

    private static func isOpen(_ state: Int, after last: Int) -> Bool {
        state & open != 0 && state / generation != last
    }

    private func sleep(after last: Int) {
        sleepers.add(1, ordering: .sequentiallyConsistent)
        if !Self.isOpen(state.load(ordering: .sequentiallyConsistent), after: last) { wakeUps.wait() }
        sleepers.subtract(1, ordering: .sequentiallyConsistent)
    }

    private func wait(until condition: () -> Bool) {
        var looks = 0
        while !condition() {
            looks += 1
            if looks % Self.looksPerYield == 0 { sched_yield() }
        }
    }

    private func wait(limit yields: inout Int, until condition: () -> Bool) {
        var looks = 0
        while yields < Self.yieldsBeforeSleep, !condition() {
            looks += 1
            if looks % Self.looksPerYield == 0 {
                yields += 1
                sched_yield()
            }
        }
    }
}
