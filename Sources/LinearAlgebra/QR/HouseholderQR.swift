import MatrixCore

/// QR factorisation A = Q R of a matrix of any shape by Householder reflectors.
///
/// A (m × n), k = min(m, n): Q (m × k) with orthonormal columns, kept as reflectors until it is asked for; R (k × n)
/// upper trapezoidal. Signs are LAPACK's: the diagonal of R may be negative.
///
/// ```swift
/// let qr = try HouseholderQR(a.view)
/// let q = qr.thinQ()                          // (m × k)
/// qr.applyQTransposed(to: b.mutableView())    // b ← Qᵀ b, Q (m × m) never formed
/// ```
///
/// - Method: panels of `blockSize` columns, reduced recursively (`PanelFactorization`), applied to the rest as
///   I − V T Vᵀ. The matrix is first scaled by a power of two to largest magnitude 1, so any scale that can be stored
///   can be factored.
/// - Cost: 2k²(max(m, n) − k/3) operations; memory 2mn + mk + 2 · blockSize · n numbers while it runs, mk + kn after.
/// - Source: Golub and Van Loan, Matrix Computations, §5.2; reflectors as in LAPACK's `larfg`, except that τ = 0 also
///   for columns too small to be normalised.
public struct HouseholderQR<Element: FactorScalar>: Sendable {
    public struct Options: Sendable {
        /// Which code runs. `automatic` takes the unblocked one up to `unblockedLimit`.
        public enum Method: Sendable { case automatic, blocked, unblocked }

        public var method = Method.automatic
        /// Columns that are reduced together before the rest is touched.
        public var blockSize = 64
        /// Columns up to which a panel is reduced one by one.
        public var leafWidth = 8
        /// Smaller sides up to this are unblocked: no kernel call pays there.
        public var unblockedLimit = 24

        public init() {}
    }

    public let rows: Int
    public let columns: Int
    /// R (k × n), zeros below the diagonal.
    public let r: DenseMatrix<Element>
    let q: OrthogonalFactor<Element>

    /// k, the smaller side.
    public var size: Int { min(rows, columns) }

    /// - Throws: `nonFinite`.
    public init(_ a: MatrixView<Element>, options: Options = Options()) throws(LinearAlgebraError) {
        let scale = try PowerOfTwoScale(of: a)
        let size = min(a.rows, a.columns)
        let unblocked = options.method == .unblocked || (options.method == .automatic && size <= options.unblockedLimit)
        rows = a.rows
        columns = a.columns
        let blockSize = max(1, unblocked ? size : min(options.blockSize, size))

        var work = DenseMatrix<Element>(uninitializedRows: columns, columns: rows)  // Aᵀ
        var reflectors = DenseMatrix<Element>(uninitializedRows: size, columns: rows)
        var factors = DenseMatrix<Element>(rows: size, columns: blockSize)
        let scratch = AlignedBuffer<Element>(
            uninitializedCount: Self.scratchCount(blockSize: blockSize, columns: columns))
        let transposed = work.mutableView()
        Element.copy(a.transposed, scaledBy: scale.factor(), into: transposed)
        let panel = PanelFactorization(
            columns: transposed, reflectors: reflectors.mutableView(), scratch: scratch.base,
            leafWidth: max(1, options.leafWidth))
        let t = factors.mutableView()
        var ranges: [Range<Int>] = []
        for start in stride(from: 0, to: size, by: blockSize) {
            let range = start..<min(size, start + blockSize)
            let blockT = t.block(rows: range, columns: 0..<range.count)
            ranges.append(range)
            if unblocked {
                panel.factorLeaf(range, updating: columns, t: blockT)
            } else {
                panel.factor(range, t: blockT)
                panel.block(range, t: blockT).apply(
                    transposed: true, to: transposed.transposed.columns(range.upperBound..<columns),
                    scratch: scratch.base)
            }
        }
        r = Self.upperTrapezoid(of: transposed.readable, rows: size, scale: scale)
        q = OrthogonalFactor(reflectors: reflectors, factors: factors, ranges: ranges)
    }

    /// Numbers of scratch beside the copies of A, for applying blocks and joining their T factors.
    static func scratchCount(blockSize: Int, columns: Int) -> Int {
        max(BlockReflector<Element>.scratchCount(size: blockSize, columns: columns), blockSize * blockSize)
    }

    /// R out of Aᵀ after the reduction, without the scale.
    private static func upperTrapezoid(
        of columns: MatrixView<Element>, rows: Int, scale: PowerOfTwoScale<Element>
    ) -> DenseMatrix<Element> {
        var r = DenseMatrix<Element>(uninitializedRows: rows, columns: columns.rows)
        let view = r.mutableView()
        Element.copy(columns.columns(0..<rows).transposed, scaledBy: scale.inverse(), into: view)
        for i in 0..<rows { (view.base + i * view.rowStride).update(repeating: 0, count: i) }
        return r
    }

    // MARK: - Q

    /// Q (m × k). Cost: 4mk² − 2k³ operations at most.
    public func thinQ() -> DenseMatrix<Element> { q.thin() }

    /// c ← Q c with the full Q (m × m), c (m × p).
    public func applyQ(to c: MutableMatrixView<Element>) { q.apply(transposed: false, to: c) }

    /// c ← Qᵀ c with the full Q (m × m), c (m × p); the first k rows are the coordinates in the columns of thin Q.
    public func applyQTransposed(to c: MutableMatrixView<Element>) { q.apply(transposed: true, to: c) }

    // MARK: - Evidence

    /// Largest over smallest |R_ii|: a cheap lower bound of the condition number, ∞ where a diagonal entry is zero.
    public var diagonalCondition: Double {
        let diagonal = (0..<size).map { abs(Element.double(r[$0, $0])) }
        guard let largest = diagonal.max(), let smallest = diagonal.min() else { return 1 }
        return smallest == 0 ? .infinity : largest / smallest
    }
}
