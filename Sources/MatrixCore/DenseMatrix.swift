/// A matrix of numbers, row-major, without gaps: element (i, j) is at i · columns + j.
///
/// A value: copies share memory until one of them is written. `view` and `mutableView()` hand the elements to the
/// kernels; a view keeps its memory alive.
///
/// ```swift
/// var a = Matrix(rows: 2, columns: 3)
/// a[1, 2] = 5
/// let transposed = a.view.transposed        // no copy
/// ```
public struct DenseMatrix<Element: MatrixElement>: Sendable {
    public let rows: Int
    public let columns: Int
    @usableFromInline var buffer: AlignedBuffer<Element>

    /// A matrix of zeros.
    public init(rows: Int, columns: Int) {
        self.init(uninitializedRows: rows, columns: columns)
        buffer.base.initialize(repeating: 0, count: buffer.count)
    }

    /// A matrix whose elements are undefined until written.
    public init(uninitializedRows rows: Int, columns: Int) {
        precondition(rows >= 0 && columns >= 0, "a matrix cannot be \(rows) × \(columns)")
        self.rows = rows
        self.columns = columns
        buffer = AlignedBuffer(uninitializedCount: rows * columns)
    }

    /// A matrix with the given elements, row by row.
    public init(rows: Int, columns: Int, elements: [Element]) {
        precondition(elements.count == rows * columns, "\(elements.count) elements for a \(rows) × \(columns) matrix")
        self.init(uninitializedRows: rows, columns: columns)
        elements.withUnsafeBufferPointer { source in
            if let start = source.baseAddress {
                buffer.base.initialize(from: start, count: source.count)
            }
        }
    }

    /// A matrix whose element (i, j) is `element(i, j)`.
    public init(rows: Int, columns: Int, element: (Int, Int) throws -> Element) rethrows {
        self.init(uninitializedRows: rows, columns: columns)
        for i in 0..<rows {
            for j in 0..<columns {
                buffer.base[i * columns + j] = try element(i, j)
            }
        }
    }

    /// A copy of the elements that a view shows.
    public init(_ view: MatrixView<Element>) {
        self.init(uninitializedRows: view.rows, columns: view.columns)
        for row in 0..<rows {
            let source = view.base + row * view.rowStride, target = buffer.base + row * columns
            if view.columnStride == 1 {
                target.update(from: source, count: columns)
            } else {
                for column in 0..<columns { target[column] = source[column * view.columnStride] }
            }
        }
    }

    private init(rows: Int, columns: Int, buffer: AlignedBuffer<Element>) {
        self.rows = rows
        self.columns = columns
        self.buffer = buffer
    }

    /// The same elements, row by row, in rows of another length; the memory is shared until one of them is written.
    public func reshaped(rows: Int, columns: Int) -> Self {
        precondition(rows * columns == count, "\(count) elements for a \(rows) × \(columns) matrix")
        return Self(rows: rows, columns: columns, buffer: buffer)
    }

    public static func identity(_ size: Int) -> Self {
        var result = Self(rows: size, columns: size)
        for i in 0..<size {
            result[i, i] = 1
        }
        return result
    }

    public var count: Int { rows * columns }

    @inlinable
    public subscript(row: Int, column: Int) -> Element {
        get {
            precondition(row >= 0 && row < rows && column >= 0 && column < columns, "index outside of the matrix")
            return buffer.base[row &* columns &+ column]
        }
        set {
            precondition(row >= 0 && row < rows && column >= 0 && column < columns, "index outside of the matrix")
            makeUnique()
            buffer.base[row &* columns &+ column] = newValue
        }
    }

    /// The elements row by row, copied.
    public var elements: [Element] {
        Array(UnsafeBufferPointer(start: buffer.base, count: count))
    }

    /// The elements, readable; the view keeps them alive.
    @inlinable
    public var view: MatrixView<Element> {
        MatrixView(base: buffer.base, rows: rows, columns: columns, rowStride: columns, columnStride: 1, owner: buffer)
    }

    /// The elements, writable. Writing to the matrix itself while the view lives detaches the two.
    @inlinable
    public mutating func mutableView() -> MutableMatrixView<Element> {
        makeUnique()
        return MutableMatrixView(
            base: buffer.base, rows: rows, columns: columns, rowStride: columns, columnStride: 1, owner: buffer)
    }

    @inlinable
    mutating func makeUnique() {
        if !isKnownUniquelyReferenced(&buffer) {
            buffer = AlignedBuffer(copying: buffer)
        }
    }
}

/// The matrix type of weights and activations.
public typealias Matrix = DenseMatrix<Float>
/// The matrix type of moments, spectra and everything that loses digits in `Float`.
public typealias Matrix64 = DenseMatrix<Double>

extension DenseMatrix: Equatable {
    /// Equal shapes and equal elements.
    public static func == (left: Self, right: Self) -> Bool {
        guard left.rows == right.rows, left.columns == right.columns else { return false }
        return (0..<left.count).allSatisfy { left.buffer.base[$0] == right.buffer.base[$0] }
    }
}
