import KernelContract
import Kernels
import MatrixCore

/// First stage of the two-stage reduction: A = Q B Qᵀ with B a band matrix of half-width b.
///
/// - Input: the lower triangle of A (n × n, any row stride), overwritten. On return its strict lower block triangle
///   holds the reflectors V_p (n − (p + 1) b × b) written out with ones and zeros, and everything above is free.
/// - Method: for each b columns, QR of the part below the diagonal block, A_p = V T Vᵀ form; then on the trailing
///   matrix Y = A V, W = Y T, X = W − ½ V Tᵀ VᵀW and A ← A − X Vᵀ − V Xᵀ. All but the panels are matrix products.
///   Only the lower triangle is kept, which halves the update.
/// - Cost: 4/3 n³ flops (and a part b/n more); traffic n³/(2b) elements.
/// - Source: Bischof, Lang and Sun, "A framework for symmetric band reduction", 2000; Haidar, Ltaief and Dongarra,
///   "Parallel reduction to condensed forms for symmetric eigenvalue problems", SC 2011.
struct BandReduction {
    let size: Int
    let bandwidth: Int
    /// T_p (b × b) one below the other (panels · b × b).
    private(set) var triangularFactors: Matrix64
    private let householder: HouseholderPanel
    /// Y, then W (n × b).
    private let product: AlignedBuffer<Double>
    private let mixed: AlignedBuffer<Double>
    /// [X V] and [V X] (n × 2b).
    private let left: AlignedBuffer<Double>
    private let right: AlignedBuffer<Double>
    /// VᵀW and TᵀVᵀW (b × b).
    private let small: AlignedBuffer<Double>

    init(size: Int, bandwidth: Int) {
        self.size = size
        self.bandwidth = bandwidth
        let panels = Self.panels(size: size, bandwidth: bandwidth)
        triangularFactors = Matrix64(rows: panels * bandwidth, columns: bandwidth)
        householder = HouseholderPanel(maximumRows: size, width: bandwidth)
        product = AlignedBuffer(uninitializedCount: Self.productCount(size: size, bandwidth: bandwidth))
        mixed = AlignedBuffer(uninitializedCount: size * bandwidth)
        left = AlignedBuffer(uninitializedCount: 2 * size * bandwidth)
        right = AlignedBuffer(uninitializedCount: 2 * size * bandwidth)
        small = AlignedBuffer(uninitializedCount: 2 * bandwidth * bandwidth)
    }

    static func scratchBytes(size: Int, bandwidth: Int) -> Int {
        let elements = panels(size: size, bandwidth: bandwidth) * bandwidth * bandwidth + 5 * size * bandwidth
            + productCount(size: size, bandwidth: bandwidth) + 2 * bandwidth * bandwidth
        return elements * MemoryLayout<Double>.stride
            + HouseholderPanel.scratchBytes(maximumRows: size, width: bandwidth)
    }

    /// Whole blocks of rows, as the kernel writes them.
    private static func productCount(size: Int, bandwidth: Int) -> Int {
        let block = SymmetricRowsProduct.blockRows
        return (size + block - 1) / block * block * bandwidth
    }

    /// Panels with at least two rows below the diagonal block; fewer have nothing to annihilate.
    static func panels(size: Int, bandwidth: Int) -> Int {
        max(0, (size - 2) / bandwidth)
    }

    /// Reduces A (n × n) and writes B into `band`.
    mutating func reduce(_ a: MutableMatrixView<Double>, into band: BandMatrix) {
        let panels = Self.panels(size: size, bandwidth: bandwidth)
        let factors = triangularFactors.mutableView()
        for p in 0..<panels {
            let column = p * bandwidth
            let first = column + bandwidth
            let t = factors.rows(p * bandwidth..<(p + 1) * bandwidth)
            copyDiagonalBlock(a, from: column, to: first, into: band)
            factorPanel(a, column: column, triangularFactor: t, into: band)
            updateTrailing(a, from: first, triangularFactor: t.readable)
        }
        copyDiagonalBlock(a, from: panels * bandwidth, to: size, into: band)
    }

    private func copyDiagonalBlock(
        _ a: MutableMatrixView<Double>, from start: Int, to end: Int, into band: BandMatrix
    ) {
        for i in start..<end {
            for j in start...i { band.setSymmetric(i, j, a[i, j]) }
        }
    }

    /// QR of the panel at `column`; V goes back to its place in A, R into the band.
    private func factorPanel(
        _ a: MutableMatrixView<Double>, column: Int, triangularFactor t: MutableMatrixView<Double>,
        into band: BandMatrix
    ) {
        let first = column + bandwidth
        let rows = size - first
        let panel = householder.panel.base
        for i in 0..<rows {
            let source = a.base + (first + i) * a.rowStride + column
            (panel + i * bandwidth).update(from: source, count: bandwidth)
        }
        householder.factor(rows: rows, triangularFactor: t)
        for i in 0..<rows {
            let target = a.base + (first + i) * a.rowStride + column
            target.update(from: panel + i * bandwidth, count: bandwidth)
        }
        for i in 0..<min(bandwidth, rows) {
            for j in i..<bandwidth {
                band.setSymmetric(first + i, column + j, householder.upper.base[i * bandwidth + j])
            }
        }
    }

    /// A ← (I − V T Vᵀ)ᵀ A (I − V T Vᵀ) for the rows and columns from `first` on.
    private func updateTrailing(
        _ a: MutableMatrixView<Double>, from first: Int, triangularFactor t: MatrixView<Double>
    ) {
        let rows = size - first
        let b = bandwidth
        let v = householder.reflectors(rows: rows)
        let y = MutableMatrixView(base: product.base, rows: rows, columns: b, rowStride: b, owner: product)
        let w = MutableMatrixView(base: mixed.base, rows: rows, columns: b, rowStride: b, owner: mixed)
        symmetricProduct(a, from: first, v, into: y)
        multiply(MatrixOperand(y.readable), MatrixOperand(t), into: w)

        let vw = MutableMatrixView(base: small.base, rows: b, columns: b, rowStride: b, owner: small)
        let tvw = MutableMatrixView(base: small.base + b * b, rows: b, columns: b, rowStride: b, owner: small)
        multiply(MatrixOperand(v.transposed), MatrixOperand(w.readable), into: vw)
        multiply(MatrixOperand(t.transposed), MatrixOperand(vw.readable), into: tvw)
        multiply(MatrixOperand(v), MatrixOperand(tvw.readable), into: w, alpha: -0.5, beta: 1)

        fillPairs(x: w.readable, v: v)
        let pairs = MatrixView(base: left.base, rows: rows, columns: 2 * b, rowStride: 2 * b, owner: left)
        let swapped = MatrixView(base: right.base, rows: rows, columns: 2 * b, rowStride: 2 * b, owner: right)
        multiplyTriangle(
            MatrixOperand(pairs), MatrixOperand(swapped.transposed), .lower,
            into: a.block(rows: first..<size, columns: first..<size), alpha: -1, beta: 1)
    }

    /// y ← A v for the trailing matrix from `first` on, from its lower triangle.
    private func symmetricProduct(
        _ a: MutableMatrixView<Double>, from first: Int, _ v: MatrixView<Double>, into y: MutableMatrixView<Double>
    ) {
        let kernel = InstructionSet.active.kernels.reflectors.symmetricProduct
        let block = SymmetricRowsProduct.blockRows
        parallelFor((v.rows + block - 1) / block) { index in
            withUnsafeTemporaryAllocation(byteCount: block * block * 8, alignment: 64) { memory in
                guard let work = memory.bindMemory(to: Double.self).baseAddress else { return }
                kernel(
                    SymmetricRowsProduct(
                        a: a.base + first * a.rowStride + first, rowStride: a.rowStride, size: v.rows,
                        firstRow: index * block, v: v.base, width: v.columns, y: y.base, work: work))
            }
        }
    }

    /// left ← [X V], right ← [V X].
    private func fillPairs(x: MatrixView<Double>, v: MatrixView<Double>) {
        let b = bandwidth
        for i in 0..<x.rows {
            let xRow = x.base + i * b
            let vRow = v.base + i * b
            (left.base + 2 * i * b).update(from: xRow, count: b)
            (left.base + (2 * i + 1) * b).update(from: vRow, count: b)
            (right.base + 2 * i * b).update(from: vRow, count: b)
            (right.base + (2 * i + 1) * b).update(from: xRow, count: b)
        }
    }
}
