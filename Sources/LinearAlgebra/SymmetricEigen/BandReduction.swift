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
///   [T; −½ Tᵀ S T]. Only the lower triangle is kept, which halves the update. The columns of the next panel are
///   updated first and factored; one pass over the rest then updates it and multiplies it by the next V
///   (`TrailingSweep`). Panels are factored in Double whatever the type of A.
/// - Cost: 4/3 n³ flops (and a part b/n more); traffic n³/(3b) elements.
/// - Source: Bischof, Lang and Sun, "A framework for symmetric band reduction", 2000; Haidar, Ltaief and Dongarra,
///   "Parallel reduction to condensed forms for symmetric eigenvalue problems", SC 2011.
struct BandReduction<Element: FactorScalar> {
    let size: Int
    let bandwidth: Int
    /// T_p (b × b) one below the other (panels · b × b).
    private(set) var triangularFactors: DenseMatrix<Element>
    private let householder: HouseholderPanel
    private let sweep: TrailingSweep<Element>
    /// [Y V], then [X V] (n × 2b), and blocks of the sweep that start in it may end behind it.
    private let left: AlignedBuffer<Element>
    /// Vᵀ[Y V] (b × 2b) and S T (b × b).
    private let small: AlignedBuffer<Element>
    /// [T; −½ Tᵀ S T] (2b × b), columns rounded up with zeros.
    private let mixing: AlignedBuffer<Element>

    init(size: Int, bandwidth: Int) {
        self.size = size
        self.bandwidth = bandwidth
        let panels = BandShape.panels(size: size, bandwidth: bandwidth)
        triangularFactors = DenseMatrix(rows: panels * bandwidth, columns: bandwidth)
        householder = HouseholderPanel(maximumRows: size, width: bandwidth)
        sweep = TrailingSweep(size: size, bandwidth: bandwidth)
        left = AlignedBuffer(uninitializedCount: Self.leftCount(size: size, bandwidth: bandwidth))
        small = AlignedBuffer(uninitializedCount: 3 * bandwidth * bandwidth)
        mixing = AlignedBuffer(count: 2 * bandwidth * TrailingSweep<Element>.width(bandwidth), repeating: 0)
    }

    static func scratchBytes(size: Int, bandwidth: Int) -> Int {
        let factors = BandShape.panels(size: size, bandwidth: bandwidth) * bandwidth * bandwidth
        let products = leftCount(size: size, bandwidth: bandwidth) + 3 * bandwidth * bandwidth
        let mixing = 2 * bandwidth * TrailingSweep<Element>.width(bandwidth)
        return (factors + products + mixing) * MemoryLayout<Element>.stride
            + HouseholderPanel.scratchBytes(maximumRows: size, width: bandwidth)
            + TrailingSweep<Element>.scratchBytes(size: size, bandwidth: bandwidth)
    }

    private static func leftCount(size: Int, bandwidth: Int) -> Int {
        (TrailingSweep<Element>.rounded(size) + bandwidth) * 2 * bandwidth
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
            sweepTrailing(a, from: first, isFirst: p == 0)
            makeUpdate(a, from: first, triangularFactor: factors.rows(p * bandwidth..<(p + 1) * bandwidth))
        }
        let rest = size - panels * bandwidth
        if panels > 0, rest > bandwidth { updateRest(a, rows: rest) }
        copyDiagonalBlock(a, from: panels * bandwidth, to: size, into: band)
    }

    private func copyDiagonalBlock(
        _ a: MutableMatrixView<Element>, from start: Int, to end: Int, into band: BandMatrix<Element>
    ) {
        for i in start..<end {
            for j in start...i { band.setSymmetric(i, j, a[i, j]) }
        }
    }

    /// QR of the panel at `column`; V goes back to its place in A, and to where the sweep needs it, R into the band.
    private func factorPanel(_ a: MutableMatrixView<Element>, column: Int, into band: BandMatrix<Element>) {
        let first = column + bandwidth
        let rows = size - first
        let place = a.block(rows: first..<size, columns: column..<first)
        householder.factor(place)
        sweep.takePanel(place.readable)
        for i in 0..<min(bandwidth, rows) {
            for j in i..<bandwidth {
                band.setSymmetric(first + i, column + j, Element.from(householder.upper.base[i * bandwidth + j]))
            }
        }
    }

    /// [Y V] or [X V], from a row on (rows × 2b).
    private func pair(from row: Int = 0, rows: Int) -> MutableMatrixView<Element> {
        MutableMatrixView(
            base: left.base + row * 2 * bandwidth, rows: rows, columns: 2 * bandwidth, rowStride: 2 * bandwidth,
            owner: left)
    }

    private func smallView(at offset: Int, columns: Int) -> MutableMatrixView<Element> {
        MutableMatrixView(
            base: small.base + offset * bandwidth * bandwidth, rows: bandwidth, columns: columns, rowStride: columns,
            owner: small)
    }

    /// The pass over the trailing matrix from `first` on: [X V], if there is one, becomes [Y V] of the next panel.
    private func sweepTrailing(_ a: MutableMatrixView<Element>, from first: Int, isFirst: Bool) {
        let rows = size - first
        let trailing = a.block(rows: first..<size, columns: first..<size)
        let plan = sweep.run(trailing, u: isFirst ? nil : pair(from: bandwidth, rows: rows).readable)
        let v = a.readable.block(rows: first..<size, columns: first - bandwidth..<first)
        sweep.gather(plan, v, into: pair(rows: rows), smallView(at: 0, columns: 2 * bandwidth))
    }

    /// [Y V] becomes [X V]; writes T, and updates the columns of the next panel.
    private func makeUpdate(
        _ a: MutableMatrixView<Element>, from first: Int, triangularFactor t: MutableMatrixView<Element>
    ) {
        let (b, rows) = (bandwidth, size - first)
        let products = smallView(at: 0, columns: 2 * b), st = smallView(at: 2, columns: b)
        let taus = (0..<b).map { Element.from(householder.taus.base[$0]) }
        CompactWY.triangularFactor(gram: products.readable.columns(b..<2 * b), taus: taus, into: t)
        let mixing = MutableMatrixView(
            base: mixing.base, rows: 2 * b, columns: b, rowStride: TrailingSweep<Element>.width(b), owner: mixing)
        convert(MatrixOperand(t.readable), into: MutableMatrixOperand(mixing.rows(0..<b)))
        Element.multiply(products.readable.columns(0..<b), t.readable, into: st, alpha: 1, beta: 0)
        Element.multiply(t.readable.transposed, st.readable, into: mixing.rows(b..<2 * b), alpha: -0.5, beta: 0)
        sweep.mix(pair(rows: rows), self.mixing, updating: a.block(rows: first..<size, columns: first..<size))
    }

    /// A ← A − X Vᵀ − V Xᵀ right of the columns that the last panel has updated: one number at most.
    private func updateRest(_ a: MutableMatrixView<Element>, rows: Int) {
        let pair = pair(rows: rows), b = bandwidth
        for i in b..<rows {
            for j in b...i {
                var sum = Element.from(0)
                for p in 0..<b { sum += pair[i, p] * pair[j, b + p] + pair[i, b + p] * pair[j, p] }
                a[size - rows + i, size - rows + j] -= sum
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
