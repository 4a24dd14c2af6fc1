import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Large blocks of memory that were given back and wait for the next buffer.
///
/// A system clears every page that it hands out, which for a buffer that is written once takes as long as the work on
/// it: of a decomposition it was a tenth of the time, of a tensor train half. So blocks are kept when they are given
/// back. What is kept and what is in use are together never more than the most that was in use at once, so that a
/// program needs no more memory than without.
///
/// The smallest kept block that is large enough serves a request; what it has to spare stays kept, and neighbours in
/// memory are joined again. Where there is no room for a new one, those that were given back first go to the system.
final class MemoryReserve: Sendable {
    /// Of the whole program.
    static let shared = MemoryReserve()
    /// Smaller blocks are the allocator's business, which keeps them itself.
    static var leastBytes: Int { 1 << 20 }

    private struct Block {
        var memory: UnsafeMutableRawPointer
        var bytes: Int

        var end: UnsafeMutableRawPointer { memory + bytes }
    }

    private struct State: @unchecked Sendable {
        /// In the order in which they were given back; no two are neighbours.
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

    /// A block of at least this size at the start of a page, with undefined contents, and its size, in whole pages.
    func take(_ requested: Int) -> (memory: UnsafeMutableRawPointer, bytes: Int) {
        let unit = requested >= 2 * Self.largePageBytes ? Self.largePageBytes : Self.pageBytes
        let bytes = (requested + unit - 1) / unit * unit
        let (found, surplus) = state.withLock { state -> (UnsafeMutableRawPointer?, [Block]) in
            let found = Self.cut(bytes, from: &state)
            state.usedBytes += bytes
            state.mostUsedBytes = max(state.mostUsedBytes, state.usedBytes)
            return (found, Self.surplus(of: &state))
        }
        for block in surplus { Self.release(block) }
        return (found ?? Self.allocate(bytes), bytes)
    }

    /// Gives a block back that `take` has given, with the size that it said.
    func give(_ memory: UnsafeMutableRawPointer, bytes: Int) {
        state.withLock { state in
            state.usedBytes -= bytes
            state.keptBytes += bytes
            var block = Block(memory: memory, bytes: bytes)
            if let before = state.kept.firstIndex(where: { $0.end == block.memory }) {
                let joined = state.kept.remove(at: before)
                block = Block(memory: joined.memory, bytes: joined.bytes + block.bytes)
            }
            if let behind = state.kept.firstIndex(where: { $0.memory == block.end }) {
                block.bytes += state.kept.remove(at: behind).bytes
            }
            state.kept.append(block)
        }
    }

    deinit {
        state.withLock { state in
            for block in state.kept { Self.release(block) }
        }
    }

    /// The first bytes of the smallest kept block that has as many.
    private static func cut(_ bytes: Int, from state: inout State) -> UnsafeMutableRawPointer? {
        let fitting = state.kept.indices.filter { state.kept[$0].bytes >= bytes }
        guard let best = fitting.min(by: { state.kept[$0].bytes < state.kept[$1].bytes }) else { return nil }
        let memory = state.kept[best].memory
        state.kept[best].memory += bytes
        state.kept[best].bytes -= bytes
        if state.kept[best].bytes == 0 { state.kept.remove(at: best) }
        state.keptBytes -= bytes
        return memory
    }

    /// Takes out what is kept beyond the most that was in use, of the blocks that were given back first.
    private static func surplus(of state: inout State) -> [Block] {
        var surplus: [Block] = []
        while state.usedBytes + state.keptBytes > state.mostUsedBytes, let oldest = state.kept.first {
            let bytes = min(oldest.bytes, state.usedBytes + state.keptBytes - state.mostUsedBytes)
            surplus.append(Block(memory: oldest.end - bytes, bytes: bytes))
            state.kept[0].bytes -= bytes
            if state.kept[0].bytes == 0 { state.kept.removeFirst() }
            state.keptBytes -= bytes
        }
        return surplus
    }

    private static let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))
    private static var largePageBytes: Int { 2 << 20 }

    /// Pages of the system, of which any range can be given back to it.
    private static func allocate(_ bytes: Int) -> UnsafeMutableRawPointer {
        let isLarge = bytes >= 2 * largePageBytes, margin = isLarge ? largePageBytes : 0
        let found = mmap(nil, bytes + margin, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
        guard let found, found != MAP_FAILED else { fatalError("no memory for \(bytes) bytes") }
        guard isLarge else { return found }
        let address = Int(bitPattern: found)
        let before = (largePageBytes - address % largePageBytes) % largePageBytes
        if before > 0 { munmap(found, before) }
        munmap(found + before + bytes, margin - before)
        askForLargePages(found + before, bytes)
        return found + before
    }

    private static func release(_ block: Block) {
        munmap(block.memory, block.bytes)
    }

    /// Products walk down columns, a page a row: with pages of 4 KiB the processor forgets where they lie and looks
    /// them up again and again. Linux gives larger ones where it is asked and has them; where not, nothing is lost.
    private static func askForLargePages(_ memory: UnsafeMutableRawPointer, _ bytes: Int) {
        #if canImport(Glibc)
        madvise(memory, bytes, MADV_HUGEPAGE)
        #endif
    }
}
