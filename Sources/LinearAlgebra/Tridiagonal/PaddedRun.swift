import KernelContract
import MatrixCore

/// Numbers in a row with room behind them, so that vector loops may read past the end.
struct PaddedRun: @unchecked Sendable {
    let count: Int
    private let buffer: AlignedBuffer<Double>

    var base: UnsafeMutablePointer<Double> { buffer.base }

    /// Zeros.
    init(count: Int) {
        self.count = count
        let padding = SecularKernels.padding
        buffer = AlignedBuffer(count: (count + padding - 1) / padding * padding + padding, repeating: 0)
    }

    init(_ numbers: [Double]) {
        self.init(count: numbers.count)
        for (index, number) in numbers.enumerated() { buffer.base[index] = number }
    }

    subscript(index: Int) -> Double { buffer.base[index] }
}
