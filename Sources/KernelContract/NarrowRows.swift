/// Some rows of a · b for a b of few columns: sums + a · b, or a · b; all in Double or all in Float.
///
/// a is read where it is, by rows or by columns, and each of its elements meets whole rows of b.
@frozen
public struct NarrowRows {
    /// a (rows × depth), any strides.
    public var a: UnsafeRawPointer
    public var rowStride: Int
    public var depthStride: Int
    public var rows: Int
    public var depth: Int
    /// b (depth × width), rows without gaps.
    public var b: UnsafeRawPointer
    /// Whole cache lines.
    public var width: Int
    /// (rows × width), rows without gaps.
    public var sums: UnsafeMutableRawPointer
    /// Whether there are sums from before.
    public var isContinued: Bool

    public init(
        a: UnsafeRawPointer, rowStride: Int, depthStride: Int, rows: Int, depth: Int, b: UnsafeRawPointer, width: Int,
        sums: UnsafeMutableRawPointer, isContinued: Bool
    ) {
        self.a = a
        self.rowStride = rowStride
        self.depthStride = depthStride
        self.rows = rows
        self.depth = depth
        self.b = b
        self.width = width
        self.sums = sums
        self.isContinued = isContinued
    }
}
