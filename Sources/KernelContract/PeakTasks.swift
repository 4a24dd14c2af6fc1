/// `count` rounds of `PeakTask.additions` independent fused multiply-adds on vectors: what the arithmetic can do at best.
@frozen
public struct PeakTask {
    public var count: Int
    /// Two numbers of the arithmetic's type to multiply; the result is written to the first.
    public var numbers: UnsafeMutableRawPointer

    /// Vector operations of a round: enough to hide four cycles of latency on two units.
    public static var additions: Int { 12 }

    public init(count: Int, numbers: UnsafeMutableRawPointer) {
        self.count = count
        self.numbers = numbers
    }
}

/// Reads `bytes` bytes (a multiple of 512) and writes their combination: what the memory can do at best.
@frozen
public struct ReadTask {
    public var memory: UnsafeRawPointer
    public var bytes: Int
    public var result: UnsafeMutablePointer<UInt64>

    public init(memory: UnsafeRawPointer, bytes: Int, result: UnsafeMutablePointer<UInt64>) {
        self.memory = memory
        self.bytes = bytes
        self.result = result
    }
}
