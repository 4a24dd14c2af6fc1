import Dispatch
import Synchronization
import Testing

@testable import Kernels

/// Loops that run at the same time, within each other and on any number of threads. The count is shared by all tests.
@Suite(.serialized) struct ThreadsTests {
    /// How often each of `count` pieces is run.
    private func runs(_ count: Int) -> [Int] {
        var runs = [Int](repeating: 0, count: count)
        runs.withUnsafeMutableBufferPointer { runs in
            nonisolated(unsafe) let runs = runs
            parallelFor(count) { runs[$0] += 1 }
        }
        return runs
    }

    @Test(arguments: [1, 2, 3, 8])
    func everyPieceRunsOnce(_ threads: Int) {
        defer { Threads.count = 0 }
        Threads.count = threads
        for round in 0..<300 {
            #expect(runs(round % 17).allSatisfy { $0 == 1 })
        }
    }

    @Test func loopsOfSeveralThreadsDoNotMeet() {
        defer { Threads.count = 0 }
        Threads.count = 3
        let wrong = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            for round in 0..<200 where !runs(round % 23).allSatisfy({ $0 == 1 }) { wrong.add(1, ordering: .relaxed) }
        }
        #expect(wrong.load(ordering: .relaxed) == 0)
    }

    @Test func aLoopWithinALoopIsSerial() {
        defer { Threads.count = 0 }
        Threads.count = 4
        let total = Atomic<Int>(0)
        parallelFor(8) { _ in
            let isWorker = Threads.isWorker
            parallelFor(8) { _ in total.add(isWorker ? 1 : 100, ordering: .relaxed) }
        }
        #expect(total.load(ordering: .relaxed) == 64)
    }
}
