import KernelContract
import MatrixCore

/// c ← alpha · a · b + beta · c, in Float, for a b of few columns: a is read once, where it lies, and not copied to
/// packed panels as by `multiply`. Sums run in another order than those of `multiply`.
public func multiplyNarrow(
    _ a: MatrixOperand, _ b: MatrixOperand, into c: MutableMatrixView<Float>, alpha: Float = 1, beta: Float = 0
) {
    precondition(a.type != .float64 && b.type != .float64, "a product in Float would lose digits of its operands")
    Product(a: a, b: b, c: MutableMatrixOperand(c), alpha: Double(alpha), beta: Double(beta)).runNarrow()
}

/// The same in Double.
public func multiplyNarrow(
    _ a: MatrixOperand, _ b: MatrixOperand, into c: MutableMatrixView<Double>, alpha: Double = 1, beta: Double = 0
) {
    Product(a: a, b: b, c: MutableMatrixOperand(c), alpha: alpha, beta: beta).runNarrow()
}

extension Product {
    /// As a `NarrowProduct` where it is one, otherwise as any other.
    func runNarrow(_ set: InstructionSet = .active) {
        precondition(a.columns == b.rows && a.rows == c.rows && b.columns == c.columns, "shapes do not fit")
        guard NarrowProduct.fits(self) else { return run(set) }
        NarrowProduct(self, set).run()
    }
}

/// The product of a matrix with vectors that lie side by side.
///
/// An a in another type than that of the arithmetic is widened a block at a time, which then lies in the second-level
/// cache.
///
/// - Cost: 2 · rows · columns · depth operations, of which about half as many a second as a general product does;
///   scratch is b and c in the type of the arithmetic, and a block of a for each thread.
struct NarrowProduct {
    private let product: Product
    private let kernel: Kernel<NarrowRows>
    private let bytes: Int
    /// Columns in whole cache lines.
    private let width: Int

    /// Beyond this many columns, packing a pays for itself.
    static let mostColumns = 32
    /// Rows of c in a piece of work: of an a that lies by columns, runs that are worth fetching.
    private static let rowsPerPiece = 512
    /// Of an a that lies by rows, a piece of b that stays in L1; of one by columns, as many runs as are fetched ahead.
    private static let depth = (byRows: 256, byColumns: 32)

    static func fits(_ product: Product) -> Bool {
        product.c.columns <= mostColumns && product.region == .all && product.c.rows > 0 && product.c.columns > 0
            && (product.a.hasContiguousRows || product.a.transposed.hasContiguousRows)
    }

    init(_ product: Product, _ set: InstructionSet) {
        self.product = product
        kernel = (product.c.type == .float64 ? set.kernels.float64 : set.kernels.float32).narrowRows
        bytes = product.c.type.bytes
        let line = 64 / product.c.type.bytes
        width = (product.c.columns + line - 1) / line * line
    }

    func run() {
        let (a, c) = (product.a, product.c)
        let rows = min(a.hasContiguousRows ? Self.rowsPerPiece / 8 : Self.evenHeight(c.rows), c.rows)
        let isWidened = a.type != c.type
        let blockBytes = isWidened ? (rows * step * bytes + 63) / 64 * 64 : 0
        let (bBytes, sumBytes) = (a.columns * width * bytes, c.rows * width * bytes)
        Scratch.withMemory(bytes: bBytes + sumBytes + blockBytes * Threads.count) { memory in
            copyB(memory)
            let place = Place(b: memory, sums: memory + bBytes, blocks: memory + bBytes + sumBytes)
            parallelFor((c.rows + rows - 1) / rows) { piece, worker in
                let block = isWidened ? place.blocks + worker * blockBytes : nil
                multiply(piece * rows..<min((piece + 1) * rows, c.rows), place, block)
            }
        }
    }

    private struct Place: @unchecked Sendable {
        let b: UnsafeMutableRawPointer
        let sums: UnsafeMutableRawPointer
        /// Of every worker.
        let blocks: UnsafeMutableRawPointer
    }

    /// Rows of an even number of pieces of nearly the same height: few pieces end together only where they are equal.
    private static func evenHeight(_ rows: Int) -> Int {
        let pieces = 2 * ((rows + 2 * rowsPerPiece - 1) / (2 * rowsPerPiece)), tile = 16
        return ((rows + pieces - 1) / pieces + tile - 1) / tile * tile
    }

    /// Columns of a that are multiplied at a time.
    private var step: Int {
        min(product.a.hasContiguousRows ? Self.depth.byRows : Self.depth.byColumns, max(product.a.columns, 1))
    }

    /// b with zeros beside it.
    private func copyB(_ target: UnsafeMutableRawPointer) {
        let (rows, columns) = (product.b.rows, product.b.columns)
        target.initializeMemory(as: UInt8.self, repeating: 0, count: rows * width * bytes)
        let copy = MutableMatrixOperand(
            base: target, type: product.c.type, rows: rows, columns: columns, rowStride: width)
        convert(product.b, into: copy)
    }

    /// - Parameter block: where a part of a is widened to, if it must be.
    private func multiply(_ rows: Range<Int>, _ place: Place, _ block: UnsafeMutableRawPointer?) {
        let a = product.a.rows(rows)
        let sums = place.sums + rows.lowerBound * width * bytes
        var first = 0
        repeat {
            let depth = min(step, a.columns - first)
            let stored = a.columns(first..<first + depth)
            let part = block.map { widened(stored, $0) } ?? stored
            kernel(
                NarrowRows(
                    a: part.base, rowStride: part.rowStride, depthStride: part.columnStride, rows: rows.count,
                    depth: depth, b: place.b + first * width * bytes, width: width, sums: sums,
                    isContinued: first > 0))
            first += depth
        } while first < a.columns
        if product.c.type == .float64 {
            put(rows, sums, Double.self)
        } else {
            put(rows, sums, Float.self)
        }
    }

    /// The same numbers in the type of the arithmetic, in the same order.
    private func widened(_ part: MatrixOperand, _ memory: UnsafeMutableRawPointer) -> MatrixOperand {
        let byRows = part.hasContiguousRows
        let target = MutableMatrixOperand(
            base: memory, type: product.c.type, rows: part.rows, columns: part.columns,
            rowStride: byRows ? part.columns : 1, columnStride: byRows ? 1 : part.rows)
        convert(part, into: target)
        return target.readable
    }

    /// c ← alpha · sums + beta · c
    private func put<Element: MatrixElement>(_ rows: Range<Int>, _ sums: UnsafeMutableRawPointer, _: Element.Type) {
        let c = product.c
        let (alpha, beta) = (Element(product.alpha), Element(product.beta))
        var sum = sums.assumingMemoryBound(to: Element.self)
        for row in rows {
            for column in 0..<c.columns {
                let element = c.address(row, column).assumingMemoryBound(to: Element.self)
                element.pointee = beta == 0 ? alpha * sum[column] : alpha * sum[column] + beta * element.pointee
            }
            sum += width
        }
    }
}
