#if canImport(Glibc)
import Glibc
#endif

/// Memory for `count` elements, aligned to a cache line, freed with the last reference.
///
/// All raw memory of matrices and tensors lives here. The class says nothing about who may write: `DenseMatrix` adds
/// copy-on-write on top, and kernels get pointers through views.
public final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
    /// One cache line, and one AVX-512 register.
    public static var alignment: Int { 64 }

    public let count: Int
    public let base: UnsafeMutablePointer<Element>

    /// Memory whose contents are undefined until written.
    public init(uninitializedCount count: Int) {
        precondition(count >= 0, "a buffer cannot have \(count) elements")
        self.count = count
        let bytes = max(count, 1) * MemoryLayout<Element>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: Self.alignment)
        Self.askForLargePages(memory, bytes)
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

    /// Products walk down columns, a page a row: with pages of 4 KiB the processor forgets where they lie and looks them
    /// up again and again. Linux gives larger ones where it is asked and has them; where not, nothing is lost.
    private static func askForLargePages(_ memory: UnsafeMutableRawPointer, _ bytes: Int) {
        #if canImport(Glibc)
        guard bytes >= leastLargePageBytes else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let start = (Int(bitPattern: memory) + page - 1) / page * page
        let end = (Int(bitPattern: memory) + bytes) / page * page
        madvise(UnsafeMutableRawPointer(bitPattern: start), end - start, MADV_HUGEPAGE)
        #endif
    }

    /// Two large pages: less may not hold a whole one.
    private static var leastLargePageBytes: Int { 4 << 20 }

    deinit {
        UnsafeMutableRawPointer(base).deallocate()
    }
}
