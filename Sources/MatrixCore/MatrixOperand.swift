/// A readable matrix in any storage format: what a kernel takes as input.
///
/// A weight in a mapped checkpoint is an operand without a copy: its rows are bf16 numbers in the file, and the kernel
/// widens them while it packs. Strides are in elements; `owner` keeps the memory alive.
public struct MatrixOperand: @unchecked Sendable {
    public let base: UnsafeRawPointer
    public let type: ElementType
    public let rows: Int
    public let columns: Int
    public let rowStride: Int
    public let columnStride: Int
    public let owner: AnyObject?

    public init(
        base: UnsafeRawPointer, type: ElementType, rows: Int, columns: Int, rowStride: Int, columnStride: Int = 1,
        owner: AnyObject? = nil
    ) {
        self.base = base
        self.type = type
        self.rows = rows
        self.columns = columns
        self.rowStride = rowStride
        self.columnStride = columnStride
        self.owner = owner
    }

    public init<Element>(_ view: MatrixView<Element>) {
        self.init(
            base: UnsafeRawPointer(view.base), type: Element.elementType, rows: view.rows, columns: view.columns,
            rowStride: view.rowStride, columnStride: view.columnStride, owner: view.owner)
    }

    public init<Element>(_ matrix: DenseMatrix<Element>) {
        self.init(matrix.view)
    }

    public var transposed: Self {
        Self(
            base: base, type: type, rows: columns, columns: rows, rowStride: columnStride, columnStride: rowStride,
            owner: owner)
    }

    /// The block of the given rows and columns.
    public func block(rows rowRange: Range<Int>, columns columnRange: Range<Int>) -> Self {
        precondition(rowRange.lowerBound >= 0 && rowRange.upperBound <= rows, "rows outside of the operand")
        precondition(columnRange.lowerBound >= 0 && columnRange.upperBound <= columns, "columns outside of the operand")
        let offset = rowRange.lowerBound * rowStride + columnRange.lowerBound * columnStride
        return Self(
            base: base + offset * type.bytes, type: type, rows: rowRange.count, columns: columnRange.count,
            rowStride: rowStride, columnStride: columnStride, owner: owner)
    }

    public func rows(_ range: Range<Int>) -> Self { block(rows: range, columns: 0..<columns) }
    public func columns(_ range: Range<Int>) -> Self { block(rows: 0..<rows, columns: range) }

    /// Element (row, column), widened. For tests and scattered reads; kernels convert whole panels.
    public subscript(row: Int, column: Int) -> Double {
        let index = row * rowStride + column * columnStride
        switch type {
        case .float64: return base.load(fromByteOffset: index * 8, as: Double.self)
        case .float32: return Double(base.load(fromByteOffset: index * 4, as: Float.self))
        case .bfloat16: return Double(BFloat16(bitPattern: base.load(fromByteOffset: index * 2, as: UInt16.self)).float)
        case .float16: return Double(Half(bitPattern: base.load(fromByteOffset: index * 2, as: UInt16.self)).float)
        }
    }
}

/// A writable matrix in any storage format: where a conversion writes.
public struct MutableMatrixOperand: @unchecked Sendable {
    public let base: UnsafeMutableRawPointer
    public let type: ElementType
    public let rows: Int
    public let columns: Int
    public let rowStride: Int
    public let columnStride: Int
    public let owner: AnyObject?

    public init(
        base: UnsafeMutableRawPointer, type: ElementType, rows: Int, columns: Int, rowStride: Int,
        columnStride: Int = 1,
        owner: AnyObject? = nil
    ) {
        self.base = base
        self.type = type
        self.rows = rows
        self.columns = columns
        self.rowStride = rowStride
        self.columnStride = columnStride
        self.owner = owner
    }

    public init<Element>(_ view: MutableMatrixView<Element>) {
        self.init(
            base: UnsafeMutableRawPointer(view.base), type: Element.elementType, rows: view.rows, columns: view.columns,
            rowStride: view.rowStride, columnStride: view.columnStride, owner: view.owner)
    }
}
