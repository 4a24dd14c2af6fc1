import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Large blocks of memory that were given back and wait for the next buffer of about their size.
///
/// A system clears every page that it hands out, which for a buffer that is written once takes as long as the work on
/// it: of a decomposition it was a tenth of the time, of a tensor train half. So blocks are kept when they are given
/// back. What is kept and what is in use are together never more than the most that was in use at once, so that a
/// program needs no more memory than without.
///
/// A block serves a request if at most an eighth of it stays unused; of those that do, the smallest is taken. Where
/// none does and there is no room, those that were given back first go to the system.
final class MemoryReserve: Sendable {
    /// Of the whole program.
    static let shared = MemoryReserve()
    /// Smaller blocks are the allocator's business, which keeps them itself.
    static var leastBytes: Int { 1 << 20 }

    private struct Block {
        let memory: UnsafeMutableRawPointer
        let bytes: Int
    }

    private struct State: @unchecked Sendable {
        /// In the order in which they were given back.
        var kept: [Block] = []
        var keptBytes = 0
        var usedBytes = 0
        var mostUsedBytes = 0
    }

    private let state = Mutex(State())

    /// Bytes in use, kept, and the most that were in use at once.
    var figures: (used: Int, kept: Int, mostUsed: Int) {
        state.withLock { ($0.usedBytes, $0.keptBytes, $0.mostUsedBytes) }
    }

    /// A block of at least this size, with undefined contents, and its size.
    func take(_ bytes: Int, alignment: Int) -> (memory: UnsafeMutableRawPointer, bytes: Int) {
        let (found, surplus) = state.withLock { state -> (Block?, [Block]) in
            let fitting = state.kept.indices.filter {
                bytes <= state.kept[$0].bytes && state.kept[$0].bytes - bytes <= state.kept[$0].bytes / 8
            }
            let best = fitting.min { state.kept[$0].bytes < state.kept[$1].bytes }.map { state.kept.remove(at: $0) }
            state.keptBytes -= best?.bytes ?? 0
            state.usedBytes += best?.bytes ?? bytes
            state.mostUsedBytes = max(state.mostUsedBytes, state.usedBytes)
            var surplus: [Block] = []
            while state.usedBytes + state.keptBytes > state.mostUsedBytes, !state.kept.isEmpty {
                let oldest = state.kept.removeFirst()
                state.keptBytes -= oldest.bytes
                surplus.append(oldest)
            }
            return (best, surplus)
        }
        for block in surplus { block.memory.deallocate() }
        if let found { return (found.memory, found.bytes) }
        return (Self.allocate(bytes, alignment), bytes)
    }

    /// Gives a block back that `take` has given, with the size that it said.
    func give(_ memory: UnsafeMutableRawPointer, bytes: Int) {
        let block = Block(memory: memory, bytes: bytes)
        state.withLock { state in
            state.usedBytes -= block.bytes
            state.keptBytes += block.bytes
            state.kept.append(block)
        }
    }

    deinit {
        state.withLock { state in
            for block in state.kept { block.memory.deallocate() }
        }
    }

    private static func allocate(_ bytes: Int, _ alignment: Int) -> UnsafeMutableRawPointer {
        guard bytes >= 2 * largePageBytes else { return .allocate(byteCount: bytes, alignment: alignment) }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: largePageBytes)
        askForLargePages(memory, bytes)
        return memory
    }

    private static var largePageBytes: Int { 2 << 20 }

    /// Products walk down columns, a page a row: with pages of 4 KiB the processor forgets where they lie and looks
    /// them up again and again. Linux gives larger ones where it is asked and has them; where not, nothing is lost.
    private static func askForLargePages(_ memory: UnsafeMutableRawPointer, _ bytes: Int) {
        #if canImport(Glibc)
        madvise(memory, bytes, MADV_HUGEPAGE)
        #endif
    }
}
