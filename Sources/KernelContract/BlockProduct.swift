/// c ← alpha · a · b + beta · c for one block whose operands are packed.
///
/// Both operands are packed in strips, depth major: element (i, p) of strip s is at s · width · depth + p · width + i,
/// with zeros beyond the edge. The strips of a are `KernelSet.Tile.rows` wide, those of b `KernelSet.Tile.columns`.
@frozen
public struct BlockProduct {
    /// Packed a (rows × depth).
    public var a: UnsafeRawPointer
    /// Packed b (depth × columns), the strips running along its columns.
    public var b: UnsafeRawPointer
    /// c (rows × columns); not read where beta is 0.
    public var c: UnsafeMutableRawPointer
    public var rows: Int
    public var columns: Int
    public var depth: Int
    /// Strides of c in elements.
    public var rowStride: Int
    public var columnStride: Int
    public var alpha: Double
    public var beta: Double
    /// Which elements of c are written, as `BlockProduct.all`, `.lower` or `.upper`.
    public var region = BlockProduct.all
    /// `.lower` is column ≤ row + diagonal, `.upper` is column ≥ row + diagonal; both count within this block.
    public var diagonal = 0
    /// Room for one tile, aligned to a vector.
    public var scratch: UnsafeMutableRawPointer

    public static var all: Int { 0 }
    public static var lower: Int { 1 }
    public static var upper: Int { 2 }

    public init(
        a: UnsafeRawPointer, b: UnsafeRawPointer, c: UnsafeMutableRawPointer, rows: Int, columns: Int, depth: Int,
        rowStride: Int, columnStride: Int, alpha: Double, beta: Double, scratch: UnsafeMutableRawPointer
    ) {
        self.a = a
        self.b = b
        self.c = c
        self.rows = rows
        self.columns = columns
        self.depth = depth
        self.rowStride = rowStride
        self.columnStride = columnStride
        self.alpha = alpha
        self.beta = beta
        self.scratch = scratch
    }
}
