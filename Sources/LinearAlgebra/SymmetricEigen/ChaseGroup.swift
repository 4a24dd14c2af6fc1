import Foundation
import KernelContract
import Kernels
import MatrixCore
import Synchronization

/// How many steps the last sweep of each group has done.
final class StepCounters: @unchecked Sendable {
    private let counters: UnsafeMutablePointer<Atomic<Int>>
    private let count: Int

    init(count: Int) {
        self.count = count
        counters = .allocate(capacity: max(count, 1))
        for index in 0..<count { (counters + index).initialize(to: Atomic(0)) }
    }

    deinit {
        counters.deinitialize(count: count)
        counters.deallocate()
    }

    func publish(_ steps: Int, of group: Int) {
        counters[group].store(steps, ordering: .releasing)
    }

    /// Returns when the group has done that many steps. The group is being run by a thread that waits only for earlier
    /// groups, so this ends.
    func wait(for steps: Int, of group: Int) {
        var spins = 0
        while counters[group].load(ordering: .acquiring) < steps {
            spins += 1
            if spins > 2_000 { sched_yield() }
        }
    }
}

/// The sweeps of a bulge chase that one thread runs together, each one step behind the one before.
struct ChaseGroup<Element: FactorScalar> {
    private let band: BandMatrix<Element>
    private let sweeps: Int
    private let vectors: MutableMatrixView<Element>
    private let taus: MutableMatrixView<Element>
    private let kernel = Element.reflectorKernels.chase
    /// Two reflectors a sweep, the newest and the one before, with their margins; and two rows of scratch.
    private let buffer: AlignedBuffer<Element>
    private let paddedLength: Int

    init(band: BandMatrix<Element>, sweeps: Int, vectors: MutableMatrixView<Element>, taus: MutableMatrixView<Element>) {
        self.band = band
        self.sweeps = sweeps
        self.vectors = vectors
        self.taus = taus
        paddedLength = band.bandwidth + 2 * BandMatrix<Element>.line
        buffer = AlignedBuffer(count: (2 * sweeps + 2) * paddedLength, repeating: 0)
    }

    static func scratchBytes(bandwidth: Int, sweeps: Int) -> Int {
        (2 * sweeps + 2) * (bandwidth + 2 * BandMatrix<Element>.line) * MemoryLayout<Element>.stride
    }

    func run(_ group: Int, _ progress: StepCounters) {
        let first = group * sweeps
        let last = min(first + sweeps, ChaseShape.sweeps(size: band.size)) - 1
        for time in 0..<(stepCount(first) + last - first) {
            if group > 0 {
                progress.wait(for: min(time + 2, stepCount(first - 1)), of: group - 1)
            }
            for sweep in first...last {
                let step = time - (sweep - first)
                if step >= 0 && step < stepCount(sweep) { run(sweep, step, slot: sweep - first) }
            }
            progress.publish(min(time + 1 - (last - first), stepCount(last)), of: group)
        }
    }

    private func stepCount(_ sweep: Int) -> Int { (band.size - sweep - 2) / band.bandwidth + 1 }

    private func run(_ sweep: Int, _ step: Int, slot: Int) {
        let current = buffer.base + (2 * slot + step % 2) * paddedLength
        let previous = buffer.base + (2 * slot + 1 - step % 2) * paddedLength
        let tau = taus.base + sweep * taus.rowStride + step
        kernel(
            ChaseStep(
                origin: band.origin, rowStride: band.rowStride, size: band.size, bandwidth: band.bandwidth,
                sweep: sweep, step: step, previous: previous, previousTau: step > 0 ? Element.double(tau[-1]) : 0, current: current,
                work: buffer.base + 2 * sweeps * paddedLength, negligibleSquare: Element.negligibleSquare,
                tau: tau))
        let row = sweep + 1 + step * band.bandwidth
        let target = vectors.base + sweep * vectors.rowStride + row
        target.update(from: current + (sweep + 1) % BandMatrix<Element>.line, count: min(band.bandwidth, band.size - row))
    }
}
