import KernelContract
import MatrixCore

/// How a product is cut into blocks that fit the caches.
///
/// Roles: a strip of a (tile.rows × depth) stays in L1 while the strips of a block of b (depth × blockColumns) stream
/// from L2 past it; the packed operands together stay in the last-level cache.
struct Blocking {
    /// Length of the sums done in registers: the longer, the fewer visits to c. A strip of a that fills half of L1 is
    /// long enough in double precision; single precision with 16 numbers a vector gains from more than L1 holds, because
    /// strips are read in order and the hardware fetches ahead.
    var depth: Int
    /// Columns of a block of b: depth × columns elements fill about three quarters of L2, or lie in L3 where strips of a
    /// are long enough to hide that.
    var blockColumns: Int
    /// Rows of one piece of work; small enough to share evenly, large enough to fetch its block of b once.
    var blockRows: Int
    /// Rows of a, and columns of b, packed at a time: bounds the scratch memory.
    var panel: Int
}

extension Blocking {
    /// Tuned for 48 KiB of L1 and 1 MiB of L2 per core, by timing products of 1024³ to 4096³.
    static func table(_ set: InstructionSet, _ type: ElementType) -> Blocking {
        switch (set, type) {
        case (.avx512, .float64): Blocking(depth: 256, blockColumns: 384, blockRows: 224, panel: 6144)
        case (.avx512, _): Blocking(depth: 1024, blockColumns: 1024, blockRows: 224, panel: 4096)
        case (_, .float64): Blocking(depth: 256, blockColumns: 256, blockRows: 192, panel: 6144)
        case (_, _): Blocking(depth: 384, blockColumns: 384, blockRows: 192, panel: 6144)
        }
    }
}

/// Cuts 0 ..< count into pieces of nearly equal length, none longer than `limit`; lengths but the last are multiples of
/// `unit`.
func evenPieces(_ count: Int, limit: Int, unit: Int) -> [Range<Int>] {
    guard count > 0 else { return [] }
    let pieces = (count + limit - 1) / limit
    let length = ((count + pieces - 1) / pieces + unit - 1) / unit * unit
    return stride(from: 0, to: count, by: length).map { $0..<min($0 + length, count) }
}
