import KernelContract
import Kernels
import MatrixCore

/// First stage of the two-stage reduction: A = Q B Qᵀ with B a band matrix of half-width b.
///
/// - Input: the lower triangle of A (n × n, any row stride), in Double or Float, overwritten. On return its strict
///   lower block triangle holds the reflectors V_p (n − (p + 1) b × b) written out with ones and zeros, and everything
///   above is free.
/// - Method: for each b columns, QR of the part below the diagonal block, Q = I − V T Vᵀ; then on the trailing matrix
///   Y = A V, S = VᵀY, X = Y T − ½ V Tᵀ S T and A ← A − X Vᵀ − V Xᵀ. S comes with VᵀV, and X is [Y V] times
///   [T; −½ Tᵀ S T], so all but the panels are four matrix products. Only the lower triangle is kept, which halves the
///   update. Panels are factored in Double whatever the type of A.
/// - Cost: 4/3 n³ flops (and a part b/n more); traffic n³/(2b) elements.
/// - Source: Bischof, Lang and Sun, "A framework for symmetric band reduction", 2000; Haidar, Ltaief and Dongarra,
///   "Parallel reduction to condensed forms for symmetric eigenvalue problems", SC 2011.
struct BandReduction<Element: FactorScalar> {
    let size: Int
    let bandwidth: Int
    /// T_p (b × b) one below the other (panels · b × b).
    private(set) var triangularFactors: DenseMatrix<Element>
    private let householder: HouseholderPanel
    /// [Y V], then [X V] (n × 2b).
    private let left: AlignedBuffer<Element>
    /// [V X] (n × 2b).
    private let right: AlignedBuffer<Element>
    /// Vᵀ[Y V] (b × 2b), then [T; −½ Tᵀ S T] (2b × b) and S T (b × b).
    private let small: AlignedBuffer<Element>

    init(size: Int, bandwidth: Int) {
        self.size = size
        self.bandwidth = bandwidth
        let panels = BandShape.panels(size: size, bandwidth: bandwidth)
        triangularFactors = DenseMatrix(rows: panels * bandwidth, columns: bandwidth)
        householder = HouseholderPanel(maximumRows: size, width: bandwidth)
        left = AlignedBuffer(uninitializedCount: Self.leftCount(size: size, bandwidth: bandwidth))
        right = AlignedBuffer(uninitializedCount: 2 * size * bandwidth)
        small = AlignedBuffer(uninitializedCount: 5 * bandwidth * bandwidth)
    }

    static func scratchBytes(size: Int, bandwidth: Int) -> Int {
        let factors = BandShape.panels(size: size, bandwidth: bandwidth) * bandwidth * bandwidth
        let products = leftCount(size: size, bandwidth: bandwidth) + 2 * size * bandwidth
        return (factors + products + 5 * bandwidth * bandwidth) * MemoryLayout<Element>.stride
            + HouseholderPanel.scratchBytes(maximumRows: size, width: bandwidth)
    }

    /// Whole blocks of rows, as the kernel writes them.
    private static func leftCount(size: Int, bandwidth: Int) -> Int {
        let block = SymmetricRowsProduct.blockRows
        return (size + block - 1) / block * block * 2 * bandwidth
    }

    /// Reduces A (n × n) and writes B into `band`.
    mutating func reduce(_ a: MutableMatrixView<Element>, into band: BandMatrix<Element>) {
        let panels = BandShape.panels(size: size, bandwidth: bandwidth)
        let factors = triangularFactors.mutableView()
        for p in 0..<panels {
            let column = p * bandwidth
            let first = column + bandwidth
            copyDiagonalBlock(a, from: column, to: first, into: band)
            factorPanel(a, column: column, into: band)
            updateTrailing(a, from: first, triangularFactor: factors.rows(p * bandwidth..<(p + 1) * bandwidth))
        }
        copyDiagonalBlock(a, from: panels * bandwidth, to: size, into: band)
    }

    private func copyDiagonalBlock(
        _ a: MutableMatrixView<Element>, from start: Int, to end: Int, into band: BandMatrix<Element>
    ) {
        for i in start..<end {
            for j in start...i { band.setSymmetric(i, j, a[i, j]) }
        }
    }

    /// QR of the panel at `column`; V goes back to its place in A, and to where products need it, R into the band.
    private func factorPanel(_ a: MutableMatrixView<Element>, column: Int, into band: BandMatrix<Element>) {
        let first = column + bandwidth
        let rows = size - first
        let place = a.block(rows: first..<size, columns: column..<first)
        let panel = householder.panel(rows: rows)
        convert(MatrixOperand(place.readable), into: MutableMatrixOperand(panel))
        householder.factor(rows: rows)
        for copy in [place, v(rows: rows), half(right, rows: rows, second: false)] {
            convert(MatrixOperand(panel.readable), into: MutableMatrixOperand(copy))
        }
        for i in 0..<min(bandwidth, rows) {
            for j in i..<bandwidth {
                band.setSymmetric(first + i, column + j, Element.from(householder.upper.base[i * bandwidth + j]))
            }
        }
    }

    /// One half of a pair (rows × b).
    private func half(_ pair: AlignedBuffer<Element>, rows: Int, second: Bool) -> MutableMatrixView<Element> {
        MutableMatrixView(
            base: pair.base + (second ? bandwidth : 0), rows: rows, columns: bandwidth, rowStride: 2 * bandwidth,
            owner: pair)
    }

    /// V (rows × b), beside Y.
    private func v(rows: Int) -> MutableMatrixView<Element> { half(left, rows: rows, second: true) }

    private func pair(_ buffer: AlignedBuffer<Element>, rows: Int) -> MatrixView<Element> {
        MatrixView(base: buffer.base, rows: rows, columns: 2 * bandwidth, rowStride: 2 * bandwidth, owner: buffer)
    }

    private func smallView(at offset: Int, rows: Int, columns: Int) -> MutableMatrixView<Element> {
        let area = bandwidth * bandwidth
        return MutableMatrixView(
            base: small.base + offset * area, rows: rows, columns: columns, rowStride: columns, owner: small)
    }

    /// A ← (I − V T Vᵀ)ᵀ A (I − V T Vᵀ) for the rows and columns from `first` on; writes T.
    private func updateTrailing(
        _ a: MutableMatrixView<Element>, from first: Int, triangularFactor t: MutableMatrixView<Element>
    ) {
        let rows = size - first
        let b = bandwidth
        symmetricProduct(a, from: first, rows: rows)
        let products = smallView(at: 0, rows: b, columns: 2 * b)
        Element.multiply(
            v(rows: rows).readable.transposed, pair(left, rows: rows), into: products, alpha: 1, beta: 0)
        let taus = (0..<b).map { Element.from(householder.taus.base[$0]) }
        CompactWY.triangularFactor(gram: products.readable.columns(b..<2 * b), taus: taus, into: t)

        let mixing = smallView(at: 2, rows: 2 * b, columns: b), st = smallView(at: 4, rows: b, columns: b)
        convert(MatrixOperand(t.readable), into: MutableMatrixOperand(mixing.rows(0..<b)))
        Element.multiply(products.readable.columns(0..<b), t.readable, into: st, alpha: 1, beta: 0)
        Element.multiply(t.readable.transposed, st.readable, into: mixing.rows(b..<2 * b), alpha: -0.5, beta: 0)
        let x = half(right, rows: rows, second: true)
        Element.multiply(pair(left, rows: rows), mixing.readable, into: x, alpha: 1, beta: 0)
        convert(MatrixOperand(x.readable), into: MutableMatrixOperand(half(left, rows: rows, second: false)))

        Element.multiplyLower(
            pair(left, rows: rows), pair(right, rows: rows).transposed,
            into: a.block(rows: first..<size, columns: first..<size), alpha: -1, beta: 1)
    }

    /// Y ← A V for the trailing matrix from `first` on, from its lower triangle.
    private func symmetricProduct(_ a: MutableMatrixView<Element>, from first: Int, rows: Int) {
        let kernel = Element.reflectorKernels.symmetricProduct
        let block = SymmetricRowsProduct.blockRows
        let bytes = block * block * MemoryLayout<Element>.stride
        let v = v(rows: rows), stride = 2 * bandwidth
        parallelFor((rows + block - 1) / block) { index in
            withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 64) { memory in
                guard let work = memory.baseAddress else { return }
                kernel(
                    SymmetricRowsProduct(
                        a: a.base + first * a.rowStride + first, rowStride: a.rowStride, size: rows,
                        firstRow: index * block, v: v.base, width: bandwidth, panelStride: stride, y: left.base,
                        work: work))
            }
        }
    }
}

/// How many panels a band reduction has.
enum BandShape {
    /// Panels with at least two rows below the diagonal block; fewer have nothing to annihilate.
    static func panels(size: Int, bandwidth: Int) -> Int {
        max(0, (size - 2) / bandwidth)
    }
}
