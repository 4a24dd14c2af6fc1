import MatrixCore
import Synchronization

/// Working memory that is handed from call to call, so that no kernel allocates inside of its loops and fresh pages are
/// not faulted in for every product.
enum Scratch {
    /// Buffers kept for later calls.
    private static let idle = Mutex<[AlignedBuffer<UInt8>]>([])
    private static let mostIdle = 8

    /// Calls `body` with at least `bytes` bytes, aligned to a cache line, whose contents are undefined.
    static func withMemory<Result>(bytes: Int, _ body: (UnsafeMutableRawPointer) -> Result) -> Result {
        let buffer = take(bytes)
        defer { giveBack(buffer) }
        return body(UnsafeMutableRawPointer(buffer.base))
    }

    private static func take(_ bytes: Int) -> AlignedBuffer<UInt8> {
        let found = idle.withLock { buffers -> AlignedBuffer<UInt8>? in
            let fitting = buffers.indices.filter { buffers[$0].count >= bytes }
            guard let best = fitting.min(by: { buffers[$0].count < buffers[$1].count }) else { return nil }
            return buffers.remove(at: best)
        }
        return found ?? AlignedBuffer(uninitializedCount: (bytes + 0xFFFF) & ~0xFFFF)
    }

    /// The smallest buffers go first when there are too many.
    private static func giveBack(_ buffer: AlignedBuffer<UInt8>) {
        idle.withLock { buffers in
            buffers.append(buffer)
            if buffers.count > mostIdle, let smallest = buffers.indices.min(by: { buffers[$0].count < buffers[$1].count }) {
                buffers.remove(at: smallest)
            }
        }
    }
}
