/// c ← a b, or c + a b, or c − a b, for matrices that are read as they lie; all in Double or all in Float.
///
/// For operands that stay in the first-level cache, and are so few numbers that to pack them would cost as much as the
/// product.
@frozen
public struct TileProduct {
    /// Element (i, p) at a + i · aRowStride + p · aDepthStride.
    public var a: UnsafeRawPointer
    public var aRowStride: Int
    public var aDepthStride: Int
    /// b (depth × columns), contiguous rows.
    public var b: UnsafeRawPointer
    public var bStride: Int
    /// c (rows × columns), contiguous rows.
    public var c: UnsafeMutableRawPointer
    public var cStride: Int
    /// Rounded up to a multiple of eight: that many rows of a are read and of c written.
    public var rows: Int
    /// A multiple of `KernelSet.Tile.columns`.
    public var columns: Int
    public var depth: Int
    /// What becomes of the product, as `storing`, `adding` or `subtracting`.
    public var mode: Int

    @inlinable public static var storing: Int { 0 }
    @inlinable public static var adding: Int { 1 }
    @inlinable public static var subtracting: Int { 2 }

    public init(
        a: UnsafeRawPointer, strides: (row: Int, depth: Int), b: UnsafeRawPointer, bStride: Int,
        c: UnsafeMutableRawPointer, cStride: Int, shape: (rows: Int, columns: Int, depth: Int), mode: Int
    ) {
        self.a = a
        (aRowStride, aDepthStride) = strides
        self.b = b
        self.bStride = bStride
        self.c = c
        self.cStride = cStride
        (rows, columns, depth) = shape
        self.mode = mode
    }
}

/// target ← Σ terms, for matrices with contiguous rows; all in Double or all in Float.
@frozen
public struct TermSum {
    /// Each (rows × columns), with `termStride` from row to row.
    public var terms: UnsafePointer<UnsafeRawPointer>
    public var count: Int
    public var termStride: Int
    public var target: UnsafeMutableRawPointer
    public var targetStride: Int
    public var rows: Int
    /// A multiple of a cache line.
    public var columns: Int

    public init(
        terms: UnsafePointer<UnsafeRawPointer>, count: Int, termStride: Int, target: UnsafeMutableRawPointer,
        targetStride: Int, rows: Int, columns: Int
    ) {
        self.terms = terms
        self.count = count
        self.termStride = termStride
        self.target = target
        self.targetStride = targetStride
        self.rows = rows
        self.columns = columns
    }
}
