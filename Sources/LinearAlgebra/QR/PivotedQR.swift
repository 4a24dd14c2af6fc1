import MatrixCore

/// QR factorisation with column pivoting: A P = Q R, |R_00| ≥ |R_11| ≥ …
///
/// A (m × n) is factored up to rank r, the number of columns whose remaining norm is above the tolerance, or the
/// `maximumRank` asked for; R (r × n) is in pivoted column order, `permutation[j]` names the column of A at position j.
///
/// - Method: columns are taken by largest remaining norm. Within a panel only the pivot column and the pivot row are
///   kept up to date; the rest is changed once a panel by a multiplication. Norms are downdated and computed again when
///   a downdate has cancelled half of their digits, which ends the panel.
/// - Cost: 4mnr − 2r²(m + n) + 4r³/3 operations, half of them in matrix-vector products; memory 2mn + rm.
/// - Source: Quintana-Ortí, Sun and Bischof, "A BLAS-3 version of the QR factorization with column pivoting", 1998
///   (LAPACK `geqp3`); the safe downdate is Drmač and Bujanović, 2008.
public struct PivotedQR<Element: FactorScalar>: Sendable {
    public struct Options: Sendable {
        /// Stop after this many columns; nil is all that the tolerance allows.
        public var maximumRank: Int?
        /// Columns with a remaining norm at or below this share of the largest column norm count as zero;
        /// nil is `Tolerance.rank`.
        public var relativeTolerance: Double?
        /// Most columns in a panel.
        public var blockSize = 32

        public init(maximumRank: Int? = nil, relativeTolerance: Double? = nil) {
            self.maximumRank = maximumRank
            self.relativeTolerance = relativeTolerance
        }
    }

    /// Column of A at each position of A P; all n of them.
    public let permutation: [Int]
    /// Number of columns factored.
    public let rank: Int
    /// R (rank × n).
    public let r: DenseMatrix<Element>
    /// Frobenius norm of what the first `rank` columns leave of A, from the downdated norms.
    public let residualNorm: Double
    let q: OrthogonalFactor<Element>

    /// - Throws: `nonFinite`.
    public init(_ a: MatrixView<Element>, options: Options = Options()) throws(LinearAlgebraError) {
        let scale = try PowerOfTwoScale(of: a)
        var reduction = PivotedReduction(a, scale: scale.factor(), options: options)
        reduction.run()
        permutation = reduction.permutation
        rank = reduction.rank
        residualNorm = reduction.residualNorm * Double(sign: .plus, exponent: scale.exponent, significand: 1)
        r = reduction.upperTrapezoid(scale: scale.inverse())
        q = OrthogonalFactor(
            reflectors: Element.matrix(reduction.reflectors.readable.rows(0..<rank)),
            factors: Element.matrix(reduction.factors.readable),
            ranges: reduction.ranges)
    }

    /// The orthonormal basis of the chosen columns (m × rank).
    public func thinQ() -> DenseMatrix<Element> { q.thin() }

    /// c ← Qᵀ c with the full Q (m × m), c (m × p).
    public func applyQTransposed(to c: MutableMatrixView<Element>) { q.apply(transposed: true, to: c) }

    /// c ← Q c with the full Q (m × m), c (m × p).
    public func applyQ(to c: MutableMatrixView<Element>) { q.apply(transposed: false, to: c) }
}

/// The state of a pivoted reduction; see `PivotedQR`.
private struct PivotedReduction<Element: FactorScalar> {
    let rows: Int
    let count: Int
    /// Most columns to factor.
    let limit: Int
    let blockSize: Int
    let relativeTolerance: Double
    /// Aᵀ (n × m): columns of A are contiguous rows, in pivoted order.
    let columns: MutableMatrixView<Element>
    let reflectors: MutableMatrixView<Element>  // Vᵀ (limit × m)
    let factors: MutableMatrixView<Element>  // T factors (limit × blockSize)
    /// Fᵀ (blockSize × n): what the panel owes to the columns, A ← A − V Fᵀ.
    let owed: MutableMatrixView<Element>
    var permutation: [Int]
    var ranges: [Range<Int>] = []
    var rank = 0
    /// Remaining norm of each column, and the norm it had when last computed in full.
    var norms: [Double]
    var computedNorms: [Double]
    private let row: MutableMatrixView<Element>  // (2 × n): scratch for a row of A and a product
    private let swapBuffer: MutableMatrixView<Element>  // (1 × m)

    init(_ a: MatrixView<Element>, scale: Element, options: PivotedQR<Element>.Options) {
        rows = a.rows
        count = a.columns
        limit = min(a.rows, a.columns, max(0, options.maximumRank ?? .max))
        blockSize = max(1, min(options.blockSize, limit))
        columns = Element.workspace(rows: count, columns: rows)
        reflectors = Element.workspace(rows: limit, columns: rows)
        factors = Element.workspace(rows: limit, columns: blockSize)
        owed = Element.workspace(rows: blockSize, columns: count)
        row = Element.workspace(rows: 2, columns: count)
        swapBuffer = Element.workspace(rows: 1, columns: rows)
        permutation = Array(0..<count)
        let view = columns
        Element.copy(a.transposed, scaledBy: scale, into: view)
        let height = rows
        norms = (0..<count).map { Element.sumOfSquares(view.base + $0 * height, height).squareRoot() }
        computedNorms = norms
        let tolerance = Tolerance.rank(Element.elementType, rows: rows, columns: count, largest: 1)
        relativeTolerance = options.relativeTolerance ?? tolerance
    }

    var residualNorm: Double { norms[rank...].reduce(0) { $0 + $1 * $1 }.squareRoot() }

    mutating func run() {
        let threshold = max(relativeTolerance * (norms.max() ?? 0), Element.negligibleNorm)
        var done = false
        while rank < limit, !done {
            let start = rank
            done = factorPanel(threshold: threshold)
            guard rank > start else { break }
            ranges.append(start..<rank)
        }
    }

    /// Factors columns from `rank` on until the panel is full, a norm is in doubt, or the tolerance is met.
    /// - Returns: true if no column above the threshold is left.
    private mutating func factorPanel(threshold: Double) -> Bool {
        let start = rank
        let width = min(blockSize, limit - start)
        var doubtful: [Int] = []
        var exhausted = false
        while rank < start + width, doubtful.isEmpty {
            guard let pivot = largestNorm(), norms[pivot] > threshold else {
                exhausted = true
                break
            }
            exchange(rank, pivot, panelStart: start)
            reduceColumn(panelStart: start)
            doubtful = downdateNorms()
            rank += 1
        }
        settle(panelStart: start)
        recompute(doubtful)
        return exhausted
    }

    /// The first of the columns with the largest remaining norm.
    private func largestNorm() -> Int? {
        var best: Int?
        for j in rank..<count where best.map({ norms[j] > norms[$0] }) ?? true { best = j }
        return best
    }

    private mutating func exchange(_ j: Int, _ pivot: Int, panelStart: Int) {
        guard j != pivot else { return }
        let view = columns
        let buffer = swapBuffer.base
        let first = view.base + j * rows
        let second = view.base + pivot * rows
        Element.copyScaled(first, by: 1, to: buffer, rows)
        Element.copyScaled(second, by: 1, to: first, rows)
        Element.copyScaled(buffer, by: 1, to: second, rows)
        let debt = owed
        for k in 0..<(j - panelStart) { (debt[k, j], debt[k, pivot]) = (debt[k, pivot], debt[k, j]) }
        permutation.swapAt(j, pivot)
        // Position j is done after this step; its norms are not read again.
        norms[pivot] = norms[j]
        computedNorms[pivot] = computedNorms[j]
    }

    /// Brings column `rank` up to date, reduces it, extends V, T and F, and brings row `rank` up to date.
    private mutating func reduceColumn(panelStart: Int) {
        let j = rank
        let k = j - panelStart
        let height = rows - j
        let view = columns
        let debt = owed
        let vectors = reflectors
        let column = view.base + j * rows + j
        for l in 0..<k {
            Element.addScaled(vectors.base + (panelStart + l) * rows + j, by: -debt[l, j], to: column, height)
        }
        let v = vectors.base + j * rows + j
        Element.copyScaled(column, by: 1, to: v, height)
        let reflector = Reflector.make(from: v, count: height, Element.self)
        column[0] = Element.from(reflector.beta)
        let tau = Element.from(reflector.tau)

        let overlaps = (0..<k).map { Element.dot(vectors.base + (panelStart + $0) * rows + j, v, height) }
        extendFactor(overlaps, tau: tau, panelStart: panelStart)
        guard j + 1 < count else { return }

        // F_k = τ (Aᵀ v − F (Vᵀ v)) over the columns that are left.
        let left = count - j - 1
        let product = row.rows(1..<2).columns(j + 1..<count)
        let vector = MutableMatrixView(base: v, rows: height, columns: 1, rowStride: 1).readable
        Element.multiply(
            view.readable.block(rows: j + 1..<count, columns: j..<rows), vector, into: product.transposed, alpha: tau,
            beta: 0)
        let target = debt.base + k * count + j + 1
        Element.copyScaled(product.base, by: 1, to: target, left)
        for l in 0..<k { Element.addScaled(debt.base + l * count + j + 1, by: -tau * overlaps[l], to: target, left) }
        settleRow(panelStart: panelStart)
    }

    /// T_0k = −τ T (Vᵀ v), T_kk = τ.
    private mutating func extendFactor(_ overlaps: [Element], tau: Element, panelStart: Int) {
        let k = overlaps.count
        let t = factors.rows(panelStart..<panelStart + k + 1)
        for i in 0..<k {
            var sum: Element = 0
            for p in i..<k { sum += t[i, p] * overlaps[p] }
            t[i, k] = -tau * sum
        }
        t[k, k] = tau
    }

    /// Row `rank` of the columns that are left becomes a row of R.
    private mutating func settleRow(panelStart: Int) {
        let j = rank
        let left = count - j - 1
        let debt = owed
        let vectors = reflectors
        let strided = columns.transposed.block(rows: j..<j + 1, columns: j + 1..<count)
        let current = row.rows(0..<1).columns(j + 1..<count)
        Element.copy(strided.readable, scaledBy: 1, into: current)
        for l in 0...(j - panelStart) {
            Element.addScaled(
                debt.base + l * count + j + 1, by: -vectors[panelStart + l, j], to: current.base, left)
        }
        Element.copy(current.readable, scaledBy: 1, into: strided)
    }

    /// Takes row `rank` out of the remaining norms.
    /// - Returns: columns whose norm has lost too many digits.
    private mutating func downdateNorms() -> [Int] {
        let limit = Tolerance.normRecomputation(Element.elementType)
        let first = rank + 1
        guard first < count else { return [] }
        var values = [Double](repeating: 0, count: count - first)
        let entries = row.base + first
        values.withUnsafeMutableBufferPointer { target in
            if let base = target.baseAddress { Element.widen(entries, stride: 1, into: base, target.count) }
        }
        var doubtful: [Int] = []
        for j in first..<count where norms[j] > 0 {
            let share = abs(values[j - first]) / norms[j]
            let kept = max(0, (1 + share) * (1 - share))
            let sinceComputed = norms[j] / computedNorms[j]
            if kept * sinceComputed * sinceComputed <= limit {
                doubtful.append(j)
            } else {
                norms[j] *= kept.squareRoot()
            }
        }
        return doubtful
    }

    /// A ← A − V Fᵀ on the rows and columns after the panel.
    private mutating func settle(panelStart: Int) {
        guard rank > panelStart, rank < count, rank < rows else { return }
        Element.multiply(
            owed.readable.block(rows: 0..<rank - panelStart, columns: rank..<count).transposed,
            reflectors.readable.block(rows: panelStart..<rank, columns: rank..<rows),
            into: columns.block(rows: rank..<count, columns: rank..<rows), alpha: -1, beta: 1)
    }

    private mutating func recompute(_ doubtful: [Int]) {
        let view = columns
        for j in doubtful {
            norms[j] = Element.sumOfSquares(view.base + j * rows + rank, rows - rank).squareRoot()
            computedNorms[j] = norms[j]
        }
    }

    func upperTrapezoid(scale: Element) -> DenseMatrix<Element> {
        var r = DenseMatrix<Element>(uninitializedRows: rank, columns: count)
        let view = r.mutableView()
        Element.copy(columns.readable.columns(0..<rank).transposed, scaledBy: scale, into: view)
        for i in 0..<rank { (view.base + i * view.rowStride).update(repeating: 0, count: i) }
        return r
    }
}
