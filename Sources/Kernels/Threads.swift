import Dispatch
import Synchronization

/// How many threads the kernels and `parallelFor` use. Set once at start (`--threads`); results never depend on it.
public enum Threads {
    private static let setting = Atomic<Int>(0)

    /// The number in force: what was set, otherwise the processors that are active.
    public static var count: Int {
        get {
            let value = setting.load(ordering: .relaxed)
            return value > 0 ? value : activeProcessors
        }
        set { setting.store(newValue, ordering: .relaxed) }
    }

    /// Processors this process may use.
    public static let activeProcessors = max(1, ProcessorCount.active)
}

/// Runs `body(0) … body(count − 1)`, on up to `Threads.count` threads. Pieces must write disjoint memory.
public func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) {
    if count <= 1 || Threads.count == 1 {
        for index in 0..<count { body(index) }
    } else {
        DispatchQueue.concurrentPerform(iterations: count, execute: body)
    }
}
