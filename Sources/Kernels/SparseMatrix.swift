import KernelContract
import MatrixCore

/// A sparse matrix S (m × n) laid out to be multiplied with vectors: y ← y + x · Sᵀ without a dense copy of S.
///
/// Columns are cut into blocks narrow enough that their part of x, for many vectors at a time, stays in L1; in a block
/// the entries stand row by row. x is transposed once a call, so that an entry meets contiguous vectors.
///
/// For one vector all of x stays in L1, and what counts is to start few rows and read few bytes: entries then stand row
/// by row over all columns, their values in the type and the memory that they are given in.
///
/// - Memory: 7 bytes an entry beside the values as given, and 1 byte for each row and block.
/// - Cost: 2 operations an entry and vector; scratch is x, and one block of rows of y for every thread.
public struct SparseMatrix: Sendable {
    public let rows: Int
    public let columns: Int
    /// Entries stored.
    public var count: Int { values.count }

    /// Entries by block of columns, then by row, then by column.
    private let values: AlignedBuffer<Float>
    /// Columns within their block.
    private let positions: AlignedBuffer<UInt8>
    /// (blocks × m): entries of a row in a block.
    private let counts: AlignedBuffer<UInt8>
    /// (blocks × groups of rows): where their entries start.
    private let starts: [Int]
    /// What products with one vector read; nil where a column may not fit into 16 bits.
    private let single: RowForm?

    /// Entries by row, then by column.
    private struct RowForm {
        /// (1 × entries)
        let values: MatrixOperand
        let positions: AlignedBuffer<UInt16>
        /// (m + 1)
        let offsets: AlignedBuffer<Int>
    }

    /// Columns of a block.
    private let blockColumns: Int
    /// Rows of a piece of work.
    private static let groupRows = 256
    /// Below this many operations, waking another thread costs more than it saves.
    private static let smallestShared = 200_000

    private var blocks: Int { (columns + blockColumns - 1) / blockColumns }
    private var groups: Int { (rows + Self.groupRows - 1) / Self.groupRows }

    /// - Parameters:
    ///   - offsets: (m + 1): the entries of row i are offsets[i] ..< offsets[i + 1].
    ///   - positions: columns, ascending within a row.
    ///   - values: (1 × entries) in the same order, in any storage format.
    public init(rows: Int, columns: Int, offsets: [Int], positions source: [UInt32], values given: MatrixOperand) {
        precondition(given.rows == 1 && given.hasContiguousRows, "values are one row without gaps")
        precondition(offsets.count == rows + 1 && source.count == given.columns && offsets[rows] == given.columns)
        self.rows = rows
        self.columns = columns
        single = Self.rowForm(offsets, source, given, columns: columns)
        let wide = AlignedBuffer<Float>(uninitializedCount: given.columns)
        convert(
            given,
            into: MutableMatrixOperand(
                base: UnsafeMutableRawPointer(wide.base), type: .float32, rows: 1, columns: given.columns,
                rowStride: given.columns))
        let numbers = UnsafeBufferPointer(start: wide.base, count: given.columns)
        let width = Self.blockColumns(for: numbers.count, of: rows * columns)
        blockColumns = width
        let blocks = (columns + width - 1) / width
        let counts = AlignedBuffer<UInt8>(count: blocks * rows, repeating: 0)
        for row in 0..<rows {
            for entry in offsets[row]..<offsets[row + 1] {
                precondition(source[entry] < columns, "a position outside of the matrix")
                counts.base[Int(source[entry]) / width * rows + row] += 1
            }
        }
        var starts: [Int] = []
        var next = [Int](repeating: 0, count: blocks * rows)
        var start = 0
        for place in next.indices {
            if place % rows % Self.groupRows == 0 { starts.append(start) }
            next[place] = start
            start += Int(counts.base[place])
        }
        values = AlignedBuffer(uninitializedCount: numbers.count)
        positions = AlignedBuffer(uninitializedCount: numbers.count)
        for row in 0..<rows {
            for entry in offsets[row]..<offsets[row + 1] {
                let column = Int(source[entry])
                let block = column / width
                values.base[next[block * rows + row]] = numbers[entry]
                positions.base[next[block * rows + row]] = UInt8(column - block * width)
                next[block * rows + row] += 1
            }
        }
        self.counts = counts
        self.starts = starts
        withExtendedLifetime(wide) {}
    }

    private static func rowForm(
        _ offsets: [Int], _ positions: [UInt32], _ values: MatrixOperand, columns: Int
    ) -> RowForm? {
        guard columns <= 1 << 16 else { return nil }
        let narrow = AlignedBuffer<UInt16>(uninitializedCount: positions.count)
        for (entry, position) in positions.enumerated() { narrow.base[entry] = UInt16(truncatingIfNeeded: position) }
        let starts = AlignedBuffer<Int>(uninitializedCount: offsets.count)
        for (row, offset) in offsets.enumerated() { starts.base[row] = offset }
        return RowForm(values: values, positions: narrow, offsets: starts)
    }

    /// With eight vectors of 16 numbers, 64 columns are 32 KiB of x, which stay in L1. Where a row has few entries in
    /// them, starting a row costs more than reading x from L2.
    private static func blockColumns(for entries: Int, of places: Int) -> Int { 8 * entries < places ? 128 : 64 }

    /// y ← y + x · Sᵀ, x (vectors × n), y (vectors × m).
    ///
    /// Sums run in an order that the shapes and the instruction set alone decide.
    public func multiply(_ x: MatrixView<Float>, addingTo y: MutableMatrixView<Float>) {
        multiply(x, addingTo: y, .active)
    }

    func multiply(_ x: MatrixView<Float>, addingTo y: MutableMatrixView<Float>, _ set: InstructionSet) {
        precondition(x.columns == columns && y.columns == rows && x.rows == y.rows, "shapes do not fit")
        guard count > 0, x.rows > 0 else { return }
        let kernels = set.kernels
        if let single, x.rows <= Self.mostSingle {
            for vector in 0..<x.rows {
                multiply(single, x.rows(vector..<vector + 1), vector, y, kernels.sparseRowProducts)
            }
            return
        }
        let panels = Self.panels(of: x.rows, lanes: kernels.float32.lanes)
        let packed = AlignedBuffer<Float>(uninitializedCount: columns * panels.reduce(0) { $0 + $1.width })
        let operations = 2 * count * x.rows
        let packs: @Sendable (Int) -> Void = { pack(x, panels[$0], into: packed) }
        let products: @Sendable (Int) -> Void = { index in
            multiplyGroup(index % groups, panels[index / groups], packed, kernels.sparseRows, y)
        }
        if operations < Self.smallestShared {
            for index in panels.indices { packs(index) }
            for index in 0..<panels.count * groups { products(index) }
        } else {
            parallelFor(panels.count, packs)
            parallelFor(panels.count * groups, products)
        }
    }

    /// Vectors that are multiplied one by one rather than together.
    private static let mostSingle = 2

    /// Row `vector` of y ← itself + x · Sᵀ, x (1 × n).
    private func multiply(
        _ form: RowForm, _ x: MatrixView<Float>, _ vector: Int, _ y: MutableMatrixView<Float>,
        _ kernel: Kernel<SparseRowProducts>
    ) {
        Scratch.withMemory(bytes: columns * MemoryLayout<Float>.stride) { memory in
            let numbers = memory.bindMemory(to: Float.self, capacity: columns)
            convert(
                MatrixOperand(x),
                into: MutableMatrixOperand(base: memory, type: .float32, rows: 1, columns: columns, rowStride: columns))
            let vectorOfX = ReadOnly(base: numbers)
            let pieces = (rows + Self.groupRows - 1) / Self.groupRows
            let products: @Sendable (Int) -> Void = { piece in
                let first = piece * Self.groupRows
                kernel(
                    SparseRowProducts(
                        values: form.values.base, format: form.values.type.format, positions: form.positions.base,
                        offsets: form.offsets.base + first, rows: min(Self.groupRows, rows - first), x: vectorOfX.base,
                        y: y.base + vector * y.rowStride + first * y.columnStride, yStride: y.columnStride))
            }
            if 2 * count < Self.smallestShared {
                for piece in 0..<pieces { products(piece) }
            } else {
                parallelFor(pieces, products)
            }
        }
    }

    /// Numbers that threads only read.
    private struct ReadOnly: @unchecked Sendable {
        let base: UnsafePointer<Float>

        init(base: UnsafeMutablePointer<Float>) { self.base = UnsafePointer(base) }
    }

    /// a ← a + scale · S, a (m × n).
    public func add(to a: MutableMatrixView<Float>, scale: Float = 1) {
        precondition(a.rows == rows && a.columns == columns, "shapes do not fit")
        var entry = 0
        for block in 0..<blocks {
            for row in 0..<rows {
                for _ in 0..<counts.base[block * rows + row] {
                    a[row, block * blockColumns + Int(positions.base[entry])] += scale * values.base[entry]
                    entry += 1
                }
            }
        }
    }

    /// Vectors that are multiplied together.
    private struct Panel {
        /// Which vectors, fewer than `width` in the last panel.
        var vectors: Range<Int>
        /// Room for them, in numbers.
        var width: Int
        /// In registers.
        var registers: Int
        /// Where its part of the packed x starts.
        var start: Int
    }

    private static func panels(of vectors: Int, lanes: Int) -> [Panel] {
        var panels: [Panel] = []
        var first = 0
        var start = 0
        while first < vectors {
            let left = vectors - first
            let registers = 2 * left > SparseRows.widest * lanes ? SparseRows.widest : 1
            let width = registers * lanes
            panels.append(
                Panel(vectors: first..<min(first + width, vectors), width: width, registers: registers, start: start))
            first += width
            start += width
        }
        return panels
    }

    /// packed ← xᵀ (n × width) of the vectors of a panel, zeros behind the last.
    private func pack(_ x: MatrixView<Float>, _ panel: Panel, into packed: AlignedBuffer<Float>) {
        let target = packed.base + panel.start * columns
        if panel.vectors.count < panel.width { target.update(repeating: 0, count: columns * panel.width) }
        let block = MutableMatrixView(
            base: target, rows: columns, columns: panel.vectors.count, rowStride: panel.width, owner: packed)
        convert(MatrixOperand(x.rows(panel.vectors)).transposed, into: MutableMatrixOperand(block))
    }

    /// Adds the rows of a group to the vectors of a panel.
    private func multiplyGroup(
        _ group: Int, _ panel: Panel, _ packed: AlignedBuffer<Float>, _ kernel: Kernel<SparseRows>,
        _ y: MutableMatrixView<Float>
    ) {
        let first = group * Self.groupRows
        let height = min(Self.groupRows, rows - first)
        let bytes = height * panel.width * MemoryLayout<Float>.stride
        Scratch.withMemory(bytes: bytes) { memory in
            let sums = memory.bindMemory(to: Float.self, capacity: height * panel.width)  // (height × width)
            sums.update(repeating: 0, count: height * panel.width)
            for block in 0..<blocks {
                let start = starts[block * groups + group]
                kernel(
                    SparseRows(
                        values: values.base + start, positions: positions.base + start,
                        counts: counts.base + block * rows + first, rows: height,
                        x: packed.base + panel.start * columns + block * blockColumns * panel.width, y: sums,
                        vectors: panel.registers))
            }
            for (place, vector) in panel.vectors.enumerated() {
                let target = y.base + vector * y.rowStride + first * y.columnStride
                for i in 0..<height { target[i * y.columnStride] += sums[i * panel.width + place] }
            }
        }
    }
}
