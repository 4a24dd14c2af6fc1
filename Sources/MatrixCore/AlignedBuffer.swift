/// Memory for `count` elements, aligned to a cache line, freed with the last reference.
///
/// All raw memory of matrices and tensors lives here. The class says nothing about who may write: `DenseMatrix` adds
/// copy-on-write on top, and kernels get pointers through views.
public final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
    /// One cache line, and one AVX-512 register.
    public static var alignment: Int { 64 }

    public let count: Int
    public let base: UnsafeMutablePointer<Element>

    /// Of the block in the reserve that this is; nil for one that the allocator has given.
    private let reservedBytes: Int?

    /// Memory whose contents are undefined until written.
    public init(uninitializedCount count: Int) {
        precondition(count >= 0, "a buffer cannot have \(count) elements")
        self.count = count
        let bytes = max(count, 1) * MemoryLayout<Element>.stride
        let memory: UnsafeMutableRawPointer
        if bytes >= MemoryReserve.leastBytes {
            let block = MemoryReserve.shared.take(bytes)
            (memory, reservedBytes) = (block.memory, block.bytes)
        } else {
            memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: Self.alignment)
            reservedBytes = nil
        }
        base = memory.bindMemory(to: Element.self, capacity: max(count, 1))
    }

    public convenience init(count: Int, repeating value: Element) {
        self.init(uninitializedCount: count)
        base.initialize(repeating: value, count: count)
    }

    public convenience init(copying other: AlignedBuffer<Element>) {
        self.init(uninitializedCount: other.count)
        base.initialize(from: other.base, count: count)
    }

    deinit {
        let memory = UnsafeMutableRawPointer(base)
        if let reservedBytes {
            MemoryReserve.shared.give(memory, bytes: reservedBytes)
        } else {
            memory.deallocate()
        }
    }
}
