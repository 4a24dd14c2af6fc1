/// Some rows of y ← A v for a symmetric A of which only the lower triangle is read; all in Double or all in Float.
///
/// The rows are `blockRows` from `firstRow` on; rows of y beyond A are written too, with numbers of no meaning.
@frozen
public struct SymmetricRowsProduct {
    /// A (size × size), contiguous rows.
    public var a: UnsafeRawPointer
    public var rowStride: Int
    public var size: Int
    public var firstRow: Int
    /// v (size × width).
    public var v: UnsafeRawPointer
    /// A multiple of a cache line.
    public var width: Int
    /// From row to row of v and of y, in elements.
    public var panelStride: Int
    /// y (size × width, rows rounded up to `blockRows`).
    public var y: UnsafeMutableRawPointer
    /// Scratch (blockRows × blockRows).
    public var work: UnsafeMutableRawPointer

    /// A block of A in Double fills two thirds of the first-level cache.
    @inlinable public static var blockRows: Int { 64 }

    public init(
        a: UnsafeRawPointer, rowStride: Int, size: Int, firstRow: Int, v: UnsafeRawPointer, width: Int,
        panelStride: Int, y: UnsafeMutableRawPointer, work: UnsafeMutableRawPointer
    ) {
        self.a = a
        self.rowStride = rowStride
        self.size = size
        self.firstRow = firstRow
        self.v = v
        self.width = width
        self.panelStride = panelStride
        self.y = y
        self.work = work
    }
}
