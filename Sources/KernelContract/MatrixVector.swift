/// result[i] ← alpha · Σ_p matrix[i, p] · x[p] + beta · result[i]: the rows of the matrix are contiguous, and in any format.
@frozen
public struct RowProducts {
    /// (rows × depth)
    public var matrix: UnsafeRawPointer
    public var format: Int
    public var rows: Int
    public var depth: Int
    public var rowStride: Int
    /// (depth), in the type of the arithmetic
    public var x: UnsafeRawPointer
    /// (rows), not read where beta is 0
    public var result: UnsafeMutableRawPointer
    public var resultStride: Int
    public var alpha = 1.0
    public var beta = 0.0

    public init(
        matrix: UnsafeRawPointer, format: Int, rows: Int, depth: Int, rowStride: Int, x: UnsafeRawPointer,
        result: UnsafeMutableRawPointer, resultStride: Int
    ) {
        self.matrix = matrix
        self.format = format
        self.rows = rows
        self.depth = depth
        self.rowStride = rowStride
        self.x = x
        self.result = result
        self.resultStride = resultStride
    }
}

/// result[j] ← result[j] + Σ_p x[p] · matrix[p, j]: again with contiguous rows, for the product with the transpose.
@frozen
public struct RowCombination {
    /// (rows × columns)
    public var matrix: UnsafeRawPointer
    public var format: Int
    public var rows: Int
    public var columns: Int
    public var rowStride: Int
    /// (rows), in the type of the arithmetic
    public var x: UnsafeRawPointer
    /// (columns)
    public var result: UnsafeMutableRawPointer

    public init(
        matrix: UnsafeRawPointer, format: Int, rows: Int, columns: Int, rowStride: Int, x: UnsafeRawPointer,
        result: UnsafeMutableRawPointer
    ) {
        self.matrix = matrix
        self.format = format
        self.rows = rows
        self.columns = columns
        self.rowStride = rowStride
        self.x = x
        self.result = result
    }
}

/// matrix[i, j] ← matrix[i, j] + x₁[i] · y₁[j] + x₂[i] · y₂[j], all in the type of the arithmetic.
@frozen
public struct PairUpdate {
    /// (rows × columns), contiguous rows
    public var matrix: UnsafeMutableRawPointer
    public var rows: Int
    public var columns: Int
    public var rowStride: Int
    public var x1: UnsafeRawPointer
    public var y1: UnsafeRawPointer
    public var x2: UnsafeRawPointer
    public var y2: UnsafeRawPointer

    public init(
        matrix: UnsafeMutableRawPointer, rows: Int, columns: Int, rowStride: Int, first: (UnsafeRawPointer, UnsafeRawPointer),
        second: (UnsafeRawPointer, UnsafeRawPointer)
    ) {
        self.matrix = matrix
        self.rows = rows
        self.columns = columns
        self.rowStride = rowStride
        (x1, y1) = first
        (x2, y2) = second
    }
}

/// result ← Σ x[i] · y[i], all in the type of the arithmetic, summed in an order that `count` alone decides.
@frozen
public struct RunDot {
    public var x: UnsafeRawPointer
    public var y: UnsafeRawPointer
    public var count: Int
    public var result: UnsafeMutableRawPointer

    public init(x: UnsafeRawPointer, y: UnsafeRawPointer, count: Int, result: UnsafeMutableRawPointer) {
        self.x = x
        self.y = y
        self.count = count
        self.result = result
    }
}
