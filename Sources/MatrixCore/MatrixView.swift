/// A readable rectangle of someone's memory: element (i, j) is at base + i · rowStride + j · columnStride.
///
/// Strides are in elements and may be anything, so a transpose, a block or a column is a view of the same memory.
/// `owner` keeps the memory alive for as long as the view.
@frozen
public struct MatrixView<Element: MatrixElement>: @unchecked Sendable {
    public let base: UnsafePointer<Element>
    public let rows: Int
    public let columns: Int
    public let rowStride: Int
    public let columnStride: Int
    public let owner: AnyObject?

    @inlinable
    public init(
        base: UnsafePointer<Element>, rows: Int, columns: Int, rowStride: Int, columnStride: Int = 1,
        owner: AnyObject? = nil
    ) {
        self.base = base
        self.rows = rows
        self.columns = columns
        self.rowStride = rowStride
        self.columnStride = columnStride
        self.owner = owner
    }

    @inlinable
    public subscript(row: Int, column: Int) -> Element {
        base[row &* rowStride &+ column &* columnStride]
    }

    @inlinable
    public var transposed: Self {
        Self(base: base, rows: columns, columns: rows, rowStride: columnStride, columnStride: rowStride, owner: owner)
    }

    /// The block of the given rows and columns.
    @inlinable
    public func block(rows rowRange: Range<Int>, columns columnRange: Range<Int>) -> Self {
        precondition(rowRange.lowerBound >= 0 && rowRange.upperBound <= rows, "rows outside of the view")
        precondition(columnRange.lowerBound >= 0 && columnRange.upperBound <= columns, "columns outside of the view")
        return Self(
            base: base + (rowRange.lowerBound * rowStride + columnRange.lowerBound * columnStride),
            rows: rowRange.count, columns: columnRange.count, rowStride: rowStride, columnStride: columnStride,
            owner: owner)
    }

    @inlinable public func rows(_ range: Range<Int>) -> Self { block(rows: range, columns: 0..<columns) }
    @inlinable public func columns(_ range: Range<Int>) -> Self { block(rows: 0..<rows, columns: range) }
}

/// A writable rectangle of someone's memory; see `MatrixView`.
///
/// Two views of the same memory may exist; the caller sees to it that no one writes what another reads.
@frozen
public struct MutableMatrixView<Element: MatrixElement>: @unchecked Sendable {
    public let base: UnsafeMutablePointer<Element>
    public let rows: Int
    public let columns: Int
    public let rowStride: Int
    public let columnStride: Int
    public let owner: AnyObject?

    @inlinable
    public init(
        base: UnsafeMutablePointer<Element>, rows: Int, columns: Int, rowStride: Int, columnStride: Int = 1,
        owner: AnyObject? = nil
    ) {
        self.base = base
        self.rows = rows
        self.columns = columns
        self.rowStride = rowStride
        self.columnStride = columnStride
        self.owner = owner
    }

    @inlinable
    public subscript(row: Int, column: Int) -> Element {
        get { base[row &* rowStride &+ column &* columnStride] }
        nonmutating set { base[row &* rowStride &+ column &* columnStride] = newValue }
    }

    @inlinable
    public var transposed: Self {
        Self(base: base, rows: columns, columns: rows, rowStride: columnStride, columnStride: rowStride, owner: owner)
    }

    /// The block of the given rows and columns.
    @inlinable
    public func block(rows rowRange: Range<Int>, columns columnRange: Range<Int>) -> Self {
        precondition(rowRange.lowerBound >= 0 && rowRange.upperBound <= rows, "rows outside of the view")
        precondition(columnRange.lowerBound >= 0 && columnRange.upperBound <= columns, "columns outside of the view")
        return Self(
            base: base + (rowRange.lowerBound * rowStride + columnRange.lowerBound * columnStride),
            rows: rowRange.count, columns: columnRange.count, rowStride: rowStride, columnStride: columnStride,
            owner: owner)
    }

    @inlinable public func rows(_ range: Range<Int>) -> Self { block(rows: range, columns: 0..<columns) }
    @inlinable public func columns(_ range: Range<Int>) -> Self { block(rows: 0..<rows, columns: range) }

    /// The same rectangle, readable only.
    @inlinable
    public var readable: MatrixView<Element> {
        MatrixView(
            base: base, rows: rows, columns: columns, rowStride: rowStride, columnStride: columnStride, owner: owner)
    }
}
