/// Some rows of y ← A v for a symmetric A of which only the lower triangle is read.
///
/// The rows are `blockRows` from `firstRow` on; rows of y beyond A are written too, with numbers of no meaning.
@frozen
public struct SymmetricRowsProduct {
    /// A (size × size), contiguous rows.
    public var a: UnsafePointer<Double>
    public var rowStride: Int
    public var size: Int
    public var firstRow: Int
    /// v (size × width), row-major without gaps.
    public var v: UnsafePointer<Double>
    /// A multiple of eight.
    public var width: Int
    /// y (size × width, rows rounded up to `blockRows`), row-major without gaps.
    public var y: UnsafeMutablePointer<Double>
    /// Scratch (blockRows × blockRows).
    public var work: UnsafeMutablePointer<Double>

    /// A block of A fills two thirds of the first-level cache.
    @inlinable public static var blockRows: Int { 64 }

    public init(
        a: UnsafePointer<Double>, rowStride: Int, size: Int, firstRow: Int, v: UnsafePointer<Double>, width: Int,
        y: UnsafeMutablePointer<Double>, work: UnsafeMutablePointer<Double>
    ) {
        self.a = a
        self.rowStride = rowStride
        self.size = size
        self.firstRow = firstRow
        self.v = v
        self.width = width
        self.y = y
        self.work = work
    }
}
