import Foundation
import KernelContract
import MatrixCore

/// What this machine can do at best, measured: the figures that all others are given as a share of.
///
/// Clocks depend on the instructions in use and on the number of busy cores, so each figure is measured with the kernels
/// in use and at the number of threads in question.
public struct PeakMeasurement: Sendable {
    public let threads: Int
    /// Fused multiply-adds in registers, two operations each, over all threads.
    public let float32OperationsPerSecond: Double
    public let float64OperationsPerSecond: Double
    /// Sequential reads from memory, over all threads.
    public let readBytesPerSecond: Double

    /// Takes about a second: the best of many short attempts, so that a neighbour's load does not lower what is measured.
    public static func measure(threads: Int = Threads.count, on set: InstructionSet = .active) -> PeakMeasurement {
        PeakMeasurement(
            threads: threads,
            float32OperationsPerSecond: operationsPerSecond(threads, Float.self, set.kernels.float32),
            float64OperationsPerSecond: operationsPerSecond(threads, Double.self, set.kernels.float64),
            readBytesPerSecond: bytesPerSecond(threads, set.kernels.streams.read))
    }

    private static let attempts = 25

    private static func operationsPerSecond<Element: MatrixElement>(
        _ threads: Int, _: Element.Type, _ kernels: KernelSet.Arithmetic
    ) -> Double {
        let rounds = 4_000_000
        let seconds = fastest(threads) { _ in
            withUnsafeTemporaryAllocation(of: Element.self, capacity: 2) { numbers in
                guard let base = numbers.baseAddress else { return }
                // Numbers that neither grow nor fade, because those are slow.
                base[0] = 1e-9
                base[1] = 1
                kernels.peak(PeakTask(count: rounds, numbers: UnsafeMutableRawPointer(base)))
            }
        }
        return Double(2 * rounds * PeakTask.additions * kernels.lanes * threads) / seconds
    }

    private static func bytesPerSecond(_ threads: Int, _ read: Kernel<ReadTask>) -> Double {
        // Several times what a last-level cache holds.
        let bytes = (256 << 20) / threads / 512 * 512
        let memory = AlignedBuffer<UInt8>(count: bytes * threads, repeating: 1)
        let seconds = fastest(threads) { worker in
            var result: UInt64 = 0
            withUnsafeMutablePointer(to: &result) {
                read(ReadTask(memory: memory.base + worker * bytes, bytes: bytes, result: $0))
            }
        }
        return Double(bytes * threads) / seconds
    }

    private static func fastest(_ threads: Int, _ body: @Sendable (Int) -> Void) -> Double {
        (0..<attempts).map { _ in
            let start = DispatchTime.now().uptimeNanoseconds
            parallelFor(threads, body)
            return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
        }.min() ?? .infinity
    }
}
