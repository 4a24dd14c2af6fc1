import KernelContract

/// Softmax of runs of Float in place, by the widest vectors there are; looked up once and called for many runs.
///
/// ```swift
/// let softmax = Softmax()
/// for row in 0..<rows { softmax(scores + row * columns, columns) }
/// ```
public struct Softmax: Sendable {
    private let kernel: Kernel<RunSoftmax>

    public init(_ set: InstructionSet = .active) {
        kernel = set.kernels.streams.softmax
    }

    /// values[i] ← e^values[i] / Σ e^values[j]; NaN anywhere makes all NaN. The sum is taken in an order that `count`
    /// alone decides.
    public func callAsFunction(_ values: UnsafeMutablePointer<Float>, _ count: Int) {
        if count > 0 { kernel(RunSoftmax(values: values, count: count)) }
    }
}
