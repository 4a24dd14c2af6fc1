import KernelContract
import MatrixCore

/// The product of a matrix with a few vectors: bound by reading the matrix once, so nothing is packed.
///
/// - Cost: 2 · rows · depth operations a vector; scratch is the vectors in the type of the arithmetic.
struct MatrixVectorProduct {
    private let product: Product
    private let kernels: KernelSet.Arithmetic
    private let streams: StreamKernels
    private let bytes: Int
    private var vectors: Int { product.c.columns }

    /// Beyond this many vectors, packing the matrix pays for itself.
    static let mostVectors = 4
    /// Below this many operations, waking another thread costs more than it saves.
    private static let smallestShared = 200_000
    /// Bytes of the matrix that are used for all vectors before the next: small, so that threads end together.
    private static let blockBytes = 1 << 17

    /// Whether the product has this form; `product` or its transposition then goes to `init`.
    static func fits(_ product: Product) -> Bool {
        product.c.columns <= mostVectors && product.region == .all
            && (product.a.hasContiguousRows || product.a.transposed.hasContiguousRows)
    }

    init(_ product: Product, _ set: InstructionSet) {
        self.product = product
        kernels = product.c.type == .float64 ? set.kernels.float64 : set.kernels.float32
        streams = set.kernels.streams
        bytes = product.c.type.bytes
    }

    func run() {
        let depth = product.a.columns
        let vectorBytes = (depth * bytes + 63) / 64 * 64
        let isRowwise = product.a.hasContiguousRows
        let sumBytes = isRowwise ? 0 : (product.a.rows * bytes + 63) / 64 * 64
        Scratch.withMemory(bytes: (vectorBytes + sumBytes) * vectors) { memory in
            for vector in 0..<vectors {
                let source = product.b.columns(vector..<(vector + 1)).transposed
                let target = MutableMatrixOperand(
                    base: memory + vector * vectorBytes, type: product.c.type, rows: 1, columns: depth, rowStride: depth)
                Conversion(source: source, target: target, kernel: streams.convert).run()
            }
            let x = Vectors(base: memory, stride: vectorBytes)
            if isRowwise {
                multiplyRows(x)
            } else {
                combineRows(x, Vectors(base: memory + vectorBytes * vectors, stride: sumBytes))
            }
        }
    }

    private struct Vectors: @unchecked Sendable {
        let base: UnsafeMutableRawPointer
        /// In bytes.
        let stride: Int

        subscript(index: Int) -> UnsafeMutableRawPointer { base + index * stride }
    }

    private func share(_ count: Int, _ body: @Sendable (Int) -> Void) {
        if 2 * product.a.rows * product.a.columns * vectors < Self.smallestShared {
            for index in 0..<count { body(index) }
        } else {
            parallelFor(count, body)
        }
    }

    /// Rows of a are contiguous: an element of c is the product of a row with a vector.
    private func multiplyRows(_ x: Vectors) {
        let a = product.a
        let c = product.c
        let rowsPerPiece = max(4, Self.blockBytes / max(1, a.columns * a.type.bytes) / 4 * 4)
        share((a.rows + rowsPerPiece - 1) / rowsPerPiece) { piece in
            let first = piece * rowsPerPiece
            for vector in 0..<vectors {
                var task = RowProducts(
                    matrix: a.address(first, 0), format: a.type.format, rows: min(rowsPerPiece, a.rows - first),
                    depth: a.columns, rowStride: a.rowStride, x: x[vector], result: c.address(first, vector),
                    resultStride: c.rowStride)
                task.alpha = product.alpha
                task.beta = product.beta
                kernels.rowProducts(task)
            }
        }
    }

    /// Columns of a are contiguous: a column of c is a combination of the columns of a.
    private func combineRows(_ x: Vectors, _ sums: Vectors) {
        let matrix = product.a.transposed  // (depth × rows of c)
        let width = 1024
        share((matrix.columns + width - 1) / width) { piece in
            let columns = (piece * width)..<min((piece + 1) * width, matrix.columns)
            let depthPerBlock = max(4, Self.blockBytes / (width * matrix.type.bytes) / 4 * 4)
            for vector in 0..<vectors {
                (sums[vector] + columns.lowerBound * bytes).initializeMemory(
                    as: UInt8.self, repeating: 0, count: columns.count * bytes)
            }
            for row in stride(from: 0, to: matrix.rows, by: depthPerBlock) {
                for vector in 0..<vectors {
                    kernels.rowCombination(
                        RowCombination(
                            matrix: matrix.address(row, columns.lowerBound), format: matrix.type.format,
                            rows: min(depthPerBlock, matrix.rows - row), columns: columns.count,
                            rowStride: matrix.rowStride, x: x[vector] + row * bytes,
                            result: sums[vector] + columns.lowerBound * bytes))
                }
            }
            for vector in 0..<vectors {
                put(sums[vector], columns, vector)
            }
        }
    }

    /// c[rows, column] ← alpha · sums + beta · c
    private func put(_ sums: UnsafeMutableRawPointer, _ rows: Range<Int>, _ column: Int) {
        let c = product.c
        func put<Element: MatrixElement>(_: Element.Type) {
            let sums = sums.assumingMemoryBound(to: Element.self)
            let alpha = Element(product.alpha)
            let beta = Element(product.beta)
            for row in rows {
                let element = c.address(row, column).assumingMemoryBound(to: Element.self)
                element.pointee = beta == 0 ? alpha * sums[row] : alpha * sums[row] + beta * element.pointee
            }
        }
        if c.type == .float64 {
            put(Double.self)
        } else {
            put(Float.self)
        }
    }
}
