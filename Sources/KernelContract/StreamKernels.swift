/// Passes over contiguous numbers that are bound by memory.
public struct StreamKernels: Sendable {
    /// Converts to another format.
    public var convert: Kernel<RunConversion>
    /// Σ a², or Σ (a − b)².
    public var sumSquares: Kernel<RunSum>
    /// Whether all numbers are finite.
    public var allFinite: Kernel<RunCheck>
    /// Softmax in place.
    public var softmax: Kernel<RunSoftmax>
    /// Reads and does next to nothing.
    public var read: Kernel<ReadTask>

    public init(
        convert: Kernel<RunConversion>, sumSquares: Kernel<RunSum>, allFinite: Kernel<RunCheck>,
        softmax: Kernel<RunSoftmax>, read: Kernel<ReadTask>
    ) {
        self.convert = convert
        self.sumSquares = sumSquares
        self.allFinite = allFinite
        self.softmax = softmax
        self.read = read
    }
}

/// target[i] ← source[i], rounded to nearest even, for i in 0 ..< count.
@frozen
public struct RunConversion {
    public var source: UnsafeRawPointer
    public var sourceFormat: Int
    public var target: UnsafeMutableRawPointer
    public var targetFormat: Int
    public var count: Int

    public init(
        source: UnsafeRawPointer, sourceFormat: Int, target: UnsafeMutableRawPointer, targetFormat: Int, count: Int
    ) {
        self.source = source
        self.sourceFormat = sourceFormat
        self.target = target
        self.targetFormat = targetFormat
        self.count = count
    }
}

/// result ← Σ a[i]², or Σ (a[i] − b[i])² where there is a b, summed in Double in an order that `count` alone decides.
@frozen
public struct RunSum {
    public var a: UnsafeRawPointer
    public var b: UnsafeRawPointer?
    /// Of both runs.
    public var format: Int
    public var count: Int
    public var result: UnsafeMutablePointer<Double>

    public init(a: UnsafeRawPointer, b: UnsafeRawPointer?, format: Int, count: Int, result: UnsafeMutablePointer<Double>) {
        self.a = a
        self.b = b
        self.format = format
        self.count = count
        self.result = result
    }
}

/// result ← 1 where all a[i] are finite, 0 otherwise.
@frozen
public struct RunCheck {
    public var a: UnsafeRawPointer
    public var format: Int
    public var count: Int
    public var result: UnsafeMutablePointer<Int>

    public init(a: UnsafeRawPointer, format: Int, count: Int, result: UnsafeMutablePointer<Int>) {
        self.a = a
        self.format = format
        self.count = count
        self.result = result
    }
}

/// values[i] ← e^values[i] / Σ e^values[j]; NaN anywhere makes all NaN. The run is not empty.
@frozen
public struct RunSoftmax {
    public var values: UnsafeMutablePointer<Float>
    public var count: Int

    public init(values: UnsafeMutablePointer<Float>, count: Int) {
        self.values = values
        self.count = count
    }
}
