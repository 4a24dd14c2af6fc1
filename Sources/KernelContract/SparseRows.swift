/// y[i] ← y[i] + Σ_e values[e] · x[positions[e]], over the entries e of row i of a sparse matrix: the product with one
/// vector, in Float, bound by reading the entries. Their order alone decides the order of the sums.
@frozen
public struct SparseRowProducts {
    public var values: UnsafeRawPointer
    public var format: Int
    /// Columns.
    public var positions: UnsafePointer<UInt16>
    /// (rows + 1): where the entries of each row start, in numbers.
    public var offsets: UnsafePointer<Int>
    public var rows: Int
    public var x: UnsafePointer<Float>
    /// (rows), `yStride` numbers apart.
    public var y: UnsafeMutablePointer<Float>
    public var yStride: Int

    public init(
        values: UnsafeRawPointer, format: Int, positions: UnsafePointer<UInt16>, offsets: UnsafePointer<Int>, rows: Int,
        x: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>, yStride: Int
    ) {
        self.values = values
        self.format = format
        self.positions = positions
        self.offsets = offsets
        self.rows = rows
        self.x = x
        self.y = y
        self.yStride = yStride
    }
}

/// y[i, t] ← y[i, t] + Σ_e values[e] · x[positions[e], t], over the entries e of row i of a sparse block, in Float.
///
/// The entries stand row by row; x is a few rows that stay in L1. Every row of x and y is `vectors` vectors long,
/// aligned to a vector.
@frozen
public struct SparseRows {
    public var values: UnsafePointer<Float>
    /// Rows of x.
    public var positions: UnsafePointer<UInt8>
    /// Entries of each row of y.
    public var counts: UnsafePointer<UInt8>
    public var rows: Int
    public var x: UnsafePointer<Float>
    public var y: UnsafeMutablePointer<Float>
    /// 1, or `SparseRows.widest`.
    public var vectors: Int

    /// Vectors of a row that are summed at once: as many as hide the latency of an addition.
    public static var widest: Int { 8 }

    public init(
        values: UnsafePointer<Float>, positions: UnsafePointer<UInt8>, counts: UnsafePointer<UInt8>, rows: Int,
        x: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>, vectors: Int
    ) {
        self.values = values
        self.positions = positions
        self.counts = counts
        self.rows = rows
        self.x = x
        self.y = y
        self.vectors = vectors
    }
}
