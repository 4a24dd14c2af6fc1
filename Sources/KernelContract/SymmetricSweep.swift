/// A piece of one pass over the lower triangle of a symmetric A: A ← A − U Wᵀ, where the right-hand side is symmetric,
/// and sums of A v with the new A; all in Double or all in Float.
///
/// The piece is a rectangle of A without what lies above the diagonal. Each block of it is updated, and while it is in
/// the first-level cache multiplied by v for its own rows and, transposed, for the rows of its columns.
@frozen
public struct SymmetricSweep {
    /// A (size × size), contiguous rows; above the diagonal nothing is read.
    public var a: UnsafeMutableRawPointer
    public var rowStride: Int
    public var size: Int
    /// Where rows and columns of the piece start and end (exclusive): multiples of `block`, or the edge of A. The first
    /// row is no smaller than the first column.
    public var firstRow: Int
    public var lastRow: Int
    public var firstColumn: Int
    public var lastColumn: Int
    /// U (size rounded up to blocks × depth), row-major without gaps.
    public var u: UnsafeRawPointer
    /// W (size × depth) in strips of `KernelSet.Tile.columns` rows, depth major (see `BlockProduct`), rounded up to
    /// blocks.
    public var w: UnsafeRawPointer
    /// Zero where A is not to be changed.
    public var depth: Int
    /// v (size × width) in strips of `KernelSet.Tile.columns` columns, one after the other, each row-major.
    public var v: UnsafeRawPointer
    /// A multiple of `KernelSet.Tile.columns`.
    public var width: Int
    /// Receives A v for the rows of the piece (rows rounded up to blocks × width); rows beyond A are written too, with
    /// numbers of no meaning.
    public var rowSums: UnsafeMutableRawPointer
    /// Receives Aᵀ v for its columns without the blocks on the diagonal (columns rounded up to blocks × width).
    public var columnSums: UnsafeMutableRawPointer
    /// Scratch (block × block).
    public var work: UnsafeMutableRawPointer

    /// A block of A in Double fills two thirds of the first-level cache.
    @inlinable public static var block: Int { 64 }

    public init(
        a: UnsafeMutableRawPointer, rowStride: Int, size: Int, firstRow: Int, lastRow: Int, firstColumn: Int,
        lastColumn: Int, u: UnsafeRawPointer, w: UnsafeRawPointer, depth: Int, v: UnsafeRawPointer, width: Int,
        rowSums: UnsafeMutableRawPointer, columnSums: UnsafeMutableRawPointer, work: UnsafeMutableRawPointer
    ) {
        self.a = a
        self.rowStride = rowStride
        self.size = size
        self.firstRow = firstRow
        self.lastRow = lastRow
        self.firstColumn = firstColumn
        self.lastColumn = lastColumn
        self.u = u
        self.w = w
        self.depth = depth
        self.v = v
        self.width = width
        self.rowSums = rowSums
        self.columnSums = columnSums
        self.work = work
    }
}
