import Dispatch
import Foundation
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

    /// Whether the calling thread already works for a `parallelFor`.
    static var isWorker: Bool {
        pthread_getspecific(workerKey) != nil
    }

    static func asWorker(_ body: () -> Void) {
        pthread_setspecific(workerKey, UnsafeRawPointer(bitPattern: 1))
        body()
        pthread_setspecific(workerKey, nil)
    }

    private static let workerKey: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key, nil)
        return key
    }()
}

/// Runs `body(0) … body(count − 1)`, on up to `Threads.count` threads. Pieces must write disjoint memory.
///
/// Pieces are handed out in order to whichever thread is free. Inside of a piece another `parallelFor` runs serially, so
/// many small problems in parallel cost no more than their work.
public func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) {
    parallelFor(count) { index, _ in body(index) }
}

/// As above; `worker` is below `Threads.count` and differs between pieces that run at the same time.
func parallelFor(_ count: Int, _ body: @Sendable (_ index: Int, _ worker: Int) -> Void) {
    let workers = min(count, Threads.count)
    if workers <= 1 || Threads.isWorker {
        for index in 0..<count { body(index, 0) }
        return
    }
    let next = Atomic<Int>(0)
    @Sendable func work(_ worker: Int) {
        Threads.asWorker {
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                if index >= count { break }
                body(index, worker)
            }
        }
    }
    if !WorkerPool.shared.run(workers: workers, work) {
        DispatchQueue.concurrentPerform(iterations: workers, execute: work)
    }
}
