import KernelContract
import Kernels
import MatrixCore

/// One pass over the trailing matrix A (n × n, its lower triangle) of a band reduction: A ← A − X Vᵀ − V Xᵀ for the
/// panel that is done, and Y = A V′ with the new A for the panel that is next.
///
/// Either alone would have to bring A from memory to the cache; together they do it once a panel.
///
/// - Cost: 4 n² b flops; traffic n² elements.
struct TrailingSweep<Element: FactorScalar> {
    private let bandwidth: Int
    /// [V X] in strips (rows × 2b).
    private let update: AlignedBuffer<Element>
    /// V′ in strips (rows × b, rounded up to strips).
    private let panel: AlignedBuffer<Element>
    /// The first rows of [V X], in strips (b × 2b, rows rounded up to strips).
    private let top: AlignedBuffer<Element>
    /// Parts of Y (see `SweepPlan`).
    private let sums: AlignedBuffer<Element>
    /// Parts of Vᵀ[Y V] (b × 2b each).
    private let products: AlignedBuffer<Element>
    /// b, rounded up to whole strips.
    private let width: Int

    /// Whole tiles of every instruction set.
    private static var tileRows: Int { 8 }
    /// Parts of a sum over all rows, the same for any number of threads.
    private static var mostParts: Int { 16 }

    private static var block: Int { SymmetricSweep.block }
    private static var arithmetic: KernelSet.Arithmetic {
        let kernels = InstructionSet.active.kernels
        return Element.elementType == .float64 ? kernels.float64 : kernels.float32
    }

    /// For matrices up to that size.
    init(size: Int, bandwidth: Int) {
        self.bandwidth = bandwidth
        let counts = Self.counts(size: size, bandwidth: bandwidth)
        width = Self.width(bandwidth)
        update = AlignedBuffer(uninitializedCount: counts.update)
        panel = AlignedBuffer(uninitializedCount: counts.panel)
        top = AlignedBuffer(uninitializedCount: counts.top)
        sums = AlignedBuffer(uninitializedCount: counts.sums)
        products = AlignedBuffer(uninitializedCount: counts.products)
    }

    static func scratchBytes(size: Int, bandwidth: Int) -> Int {
        let counts = counts(size: size, bandwidth: bandwidth)
        return (counts.update + counts.panel + counts.top + counts.sums + counts.products)
            * MemoryLayout<Element>.stride
    }

    private typealias Counts = (update: Int, panel: Int, top: Int, sums: Int, products: Int)

    private static func counts(size: Int, bandwidth: Int) -> Counts {
        let width = width(bandwidth)
        let sizes = stride(from: size - bandwidth, to: 1, by: -bandwidth)
        let sumRows = sizes.map { SweepPlan(size: $0, elementBytes: MemoryLayout<Element>.stride).sumRows }.max() ?? 0
        return (
            update: rounded(size) * 2 * bandwidth, panel: size * width, top: 2 * bandwidth * width,
            sums: sumRows * width, products: mostParts * 2 * bandwidth * bandwidth
        )
    }

    /// Whole blocks of rows.
    static func rounded(_ rows: Int) -> Int { (rows + block - 1) / block * block }

    /// Whole strips of columns.
    static func width(_ columns: Int) -> Int {
        let strip = arithmetic.tile.columns
        return (columns + strip - 1) / strip * strip
    }

    /// Takes V′ (n × b) of the panel that is next.
    func takePanel(_ v: MatrixView<Element>) {
        let (b, strip) = (bandwidth, Self.arithmetic.tile.columns)
        let panel = panel
        let height = 4 * Self.block
        parallelFor((v.rows + height - 1) / height) { index in
            let row = index * height
            for first in stride(from: 0, to: b, by: strip) {
                Self.arithmetic.packColumns(
                    StripPacking(
                        source: v.base + (row * v.rowStride + first), format: Self.format, acrossStride: 1,
                        alongStride: v.rowStride, across: min(strip, b - first), depth: min(height, v.rows - row),
                        target: panel.base + (first * v.rows + row * strip)))
            }
        }
    }

    private static var format: Int {
        Element.elementType == .float64 ? StorageFormat.float64 : StorageFormat.float32
    }

    /// A ← A − U [V X]ᵀ, if there is U = [X V] (n rounded up to blocks × 2b, without gaps), and then the parts of A V′.
    /// - Returns: where those parts lie.
    func run(_ a: MutableMatrixView<Element>, u: MatrixView<Element>?) -> SweepPlan {
        let plan = SweepPlan(size: a.rows, elementBytes: MemoryLayout<Element>.stride)
        let (update, panel, sums) = (update, panel, sums)
        let width = width
        let kernel = Element.reflectorKernels.symmetricSweep
        let bytes = Self.block * Self.block * MemoryLayout<Element>.stride
        parallelFor(plan.pieces.count) { index in
            let piece = plan.pieces[plan.order[index]]
            withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 64) { memory in
                guard let work = memory.baseAddress else { return }
                kernel(
                    SymmetricSweep(
                        a: a.base, rowStride: a.rowStride, size: a.rows, firstRow: piece.rows.lowerBound,
                        lastRow: piece.rows.upperBound, firstColumn: piece.columns.lowerBound,
                        lastColumn: piece.columns.upperBound, u: u?.base ?? UnsafePointer(update.base),
                        w: update.base, depth: u?.columns ?? 0, v: panel.base, width: width,
                        rowSums: sums.base + piece.rowSums * width, columnSums: sums.base + piece.columnSums * width,
                        work: work))
            }
        }
        return plan
    }

    /// [Y V] (n × 2b, without gaps) from the parts of Y and from V, and Vᵀ[Y V] (b × 2b) on the way.
    func gather(
        _ plan: SweepPlan, _ v: MatrixView<Element>, into pair: MutableMatrixView<Element>,
        _ products: MutableMatrixView<Element>
    ) {
        let blocks = (v.rows + Self.block - 1) / Self.block
        let height = (blocks + Self.mostParts - 1) / Self.mostParts
        let parts = (blocks + height - 1) / height
        parallelFor(parts) { part in
            for block in part * height..<min(blocks, (part + 1) * height) {
                gather(plan, block: block, v, into: pair)
                addProducts(pair, block: block, part: part, isFirst: block == part * height)
            }
        }
        let count = products.rows * products.columns
        products.base.update(from: self.products.base, count: count)
        for part in 1..<max(1, parts) {
            Element.addScaled(self.products.base + part * count, by: 1, to: products.base, count)
        }
    }

    private func gather(
        _ plan: SweepPlan, block: Int, _ v: MatrixView<Element>, into pair: MutableMatrixView<Element>
    ) {
        let first = block * Self.block
        let rows = min(Self.block, v.rows - first)
        let terms = plan.terms(ofBlockAt: first).map { UnsafeRawPointer(sums.base + $0 * width) }
        terms.withUnsafeBufferPointer { list in
            guard let base = list.baseAddress else { return }
            Element.reflectorKernels.termSum(
                TermSum(
                    terms: base, count: list.count, termStride: width, target: pair.base + first * pair.rowStride,
                    targetStride: pair.rowStride, rows: rows, columns: bandwidth))
        }
        for i in first..<first + rows {
            (pair.base + i * pair.rowStride + bandwidth).update(from: v.base + i * v.rowStride, count: bandwidth)
        }
    }

    private func addProducts(_ pair: MutableMatrixView<Element>, block: Int, part: Int, isFirst: Bool) {
        let (b, first) = (bandwidth, block * Self.block)
        let rows = pair.base + first * pair.rowStride
        Element.reflectorKernels.tileProduct(
            TileProduct(
                a: rows + b, strides: (1, pair.rowStride), b: rows, bStride: pair.rowStride,
                c: products.base + part * 2 * b * b, cStride: 2 * b,
                shape: (rows: b, columns: 2 * b, depth: min(Self.block, pair.rows - first)),
                mode: isFirst ? TileProduct.storing : TileProduct.adding))
    }

    /// [Y V] (n × 2b, without gaps) becomes [X V] with X = [Y V] times `mixing` (2b × b, columns rounded up to strips).
    /// The first b columns of A (n × n) are updated, and the rest is left to the next run.
    func mix(
        _ pair: MutableMatrixView<Element>, _ mixing: AlignedBuffer<Element>, updating a: MutableMatrixView<Element>
    ) {
        let b = bandwidth
        // The update of the columns needs these rows of X.
        let top = pair.rows(0..<min(b, pair.rows))
        mix(top, mixing)
        pack(top, into: self.top.base)
        updateColumns(top, a.rows(0..<top.rows))
        let rest = max(0, pair.rows - b)
        parallelFor((rest + Self.block - 1) / Self.block) { index in
            let first = index * Self.block
            let rows = b + first..<b + min(rest, first + Self.block)
            mix(pair.rows(rows), mixing)
            pack(pair.rows(rows), into: update.base + first * 2 * b)
            updateColumns(pair.rows(rows), a.rows(rows))
        }
    }

    private func mix(_ pair: MutableMatrixView<Element>, _ mixing: AlignedBuffer<Element>) {
        withBlock { x in
            Element.reflectorKernels.tileProduct(
                TileProduct(
                    a: pair.base, strides: (pair.rowStride, 1), b: mixing.base, bStride: width, c: x, cStride: width,
                    shape: (rows: pair.rows, columns: width, depth: pair.columns), mode: TileProduct.storing))
            for i in 0..<pair.rows {
                (pair.base + i * pair.rowStride).update(from: x + i * width, count: bandwidth)
            }
        }
    }

    /// [V X] of some rows of [X V], in strips.
    private func pack(_ pair: MutableMatrixView<Element>, into target: UnsafeMutablePointer<Element>) {
        let (b, strip) = (bandwidth, Self.arithmetic.tile.columns)
        for first in stride(from: 0, to: pair.rows, by: strip) {
            for half in 0..<2 {
                Self.arithmetic.packColumns(
                    StripPacking(
                        source: pair.base + (first * pair.rowStride + (1 - half) * b), format: Self.format,
                        acrossStride: pair.rowStride, alongStride: 1, across: min(strip, pair.rows - first), depth: b,
                        target: target + (first * 2 + half * strip) * b))
            }
        }
    }

    /// The same rows of the first b columns of A, less those of [X V] times the top of [V X]ᵀ.
    private func updateColumns(_ pair: MutableMatrixView<Element>, _ a: MutableMatrixView<Element>) {
        // Tiles are written where they are whole.
        let whole = a.columns < width || bandwidth < width ? 0 : pair.rows / Self.tileRows * Self.tileRows
        multiplyByTop(pair.rows(0..<whole), (a.base, a.rowStride), TileProduct.subtracting)
        if whole == pair.rows { return }
        let columns = min(bandwidth, a.columns)
        withBlock { change in
            multiplyByTop(pair.rows(whole..<pair.rows), (change, width), TileProduct.storing)
            for i in whole..<pair.rows {
                Element.addScaled(change + (i - whole) * width, by: -1, to: a.base + i * a.rowStride, columns)
            }
        }
    }

    /// [X V] times the top of [V X]ᵀ.
    private func multiplyByTop(
        _ pair: MutableMatrixView<Element>, _ target: (base: UnsafeMutablePointer<Element>, stride: Int), _ mode: Int
    ) {
        let strip = Self.arithmetic.tile.columns
        for first in stride(from: 0, to: bandwidth, by: strip) {
            Element.reflectorKernels.tileProduct(
                TileProduct(
                    a: pair.base, strides: (pair.rowStride, 1), b: top.base + first * pair.columns, bStride: strip,
                    c: target.base + first, cStride: target.stride,
                    shape: (rows: pair.rows, columns: strip, depth: pair.columns), mode: mode))
        }
    }

    /// Calls `body` with memory for a block of rows or for the first b, rounded up to eight (rows × width).
    private func withBlock(_ body: (UnsafeMutablePointer<Element>) -> Void) {
        let count = max(Self.block, bandwidth) * width
        withUnsafeTemporaryAllocation(byteCount: count * MemoryLayout<Element>.stride, alignment: 64) { memory in
            memory.withMemoryRebound(to: Element.self) { numbers in
                if let base = numbers.baseAddress { body(base) }
            }
        }
    }
}
