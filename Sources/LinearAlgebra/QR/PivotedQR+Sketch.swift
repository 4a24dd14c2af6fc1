import MatrixCore

/// Column pivoting guided by a random sketch: nearly the pivots of `PivotedQR`, all of it multiplication.
///
/// Y = Ω A has a few rows more than a block has columns. Pivoting the small Y names the columns of the next block; they
/// are factored without further exchanges, and Y is brought to a sketch of what is left by a small product, not by
/// another pass over A. |R_jj| decreases up to a modest factor instead of strictly.
///
/// - Cost: 4mnr − 2r²(m + n) + 4r³/3 operations as with norms, but none of them in matrix-vector products over A.
/// - Source: Duersch and Gu, "Randomized QR with column pivoting", SISC 2017 (RQRCP with the rotated sketch update).
///   Departure: Ω is counter-based, so the result is a function of the input.
extension PivotedQR {
    public struct SketchOptions: Sendable {
        /// As in `Options`.
        public var maximumRank: Int?
        /// Diagonal entries of R at or below this share of the largest column norm end the factorisation; nil is
        /// `Tolerance.rank`.
        public var relativeTolerance: Double?
        /// Columns chosen from one sketch.
        public var blockSize = 64
        /// Rows of the sketch beyond the block.
        public var oversampling = 8
        public var seed: UInt64 = 0

        public init(maximumRank: Int? = nil, relativeTolerance: Double? = nil) {
            self.maximumRank = maximumRank
            self.relativeTolerance = relativeTolerance
        }
    }

    /// - Throws: `nonFinite`.
    public init(sketching a: MatrixView<Element>, options: SketchOptions = .init()) throws(LinearAlgebraError) {
        let scale = try PowerOfTwoScale(of: a)
        var reduction = SketchedReduction(a, scale: scale.factor(), options: options)
        try reduction.run()
        let unscaled = Double(sign: .plus, exponent: scale.exponent, significand: 1)
        self.init(
            permutation: reduction.permutation, r: reduction.upperTrapezoid(scale: scale.inverse()),
            residualNorm: reduction.residualNorm * unscaled, q: reduction.orthogonalFactor)
    }
}

/// The state of a sketched reduction; see `PivotedQR.init(sketching:options:)`.
private struct SketchedReduction<Element: FactorScalar> {
    let rows: Int
    let count: Int
    let limit: Int
    let blockSize: Int
    let threshold: Double
    /// Aᵀ (n × m), in pivoted order.
    let columns: MutableMatrixView<Element>
    /// Yᵀ (n × blockSize + oversampling), in pivoted order; rows before `rank` are spent.
    let sketch: MutableMatrixView<Element>
    let reflectors: MutableMatrixView<Element>  // Vᵀ (limit × m)
    let factors: MutableMatrixView<Element>  // T factors (limit × blockSize)
    var permutation: [Int]
    var ranges: [Range<Int>] = []
    var rank = 0
    private let scratch: AlignedBuffer<Element>

    init(_ a: MatrixView<Element>, scale: Element, options: PivotedQR<Element>.SketchOptions) {
        rows = a.rows
        count = a.columns
        limit = min(a.rows, a.columns, max(0, options.maximumRank ?? .max))
        blockSize = max(1, min(options.blockSize, limit))
        columns = Element.workspace(rows: count, columns: rows)
        reflectors = Element.workspace(rows: limit, columns: rows)
        factors = Element.workspace(rows: limit, columns: blockSize)
        permutation = Array(0..<count)
        scratch = AlignedBuffer(
            uninitializedCount: max(
                HouseholderQR<Element>.scratchCount(blockSize: blockSize, columns: count), rows))
        let view = columns
        Element.copy(a.transposed, scaledBy: scale, into: view)
        let height = rows
        let largest = (0..<count).map { Element.sumOfSquares(view.base + $0 * height, height).squareRoot() }.max() ?? 0
        let tolerance = Tolerance.rank(Element.elementType, rows: rows, columns: count, largest: 1)
        threshold = max((options.relativeTolerance ?? tolerance) * largest, Element.negligibleNorm)

        let sketchRows = blockSize + max(0, options.oversampling)
        let directions: DenseMatrix<Element> = CounterRandom(seed: options.seed, stream: 0x534B_4554_4348)
            .normalMatrix(rows: rows, columns: sketchRows)
        sketch = Element.workspace(rows: count, columns: sketchRows)
        Element.multiply(view.readable, directions.view, into: sketch, alpha: 1, beta: 0)
    }

    var orthogonalFactor: OrthogonalFactor<Element> {
        OrthogonalFactor(
            reflectors: Element.matrix(reflectors.readable.rows(0..<rank)), factors: Element.matrix(factors.readable),
            ranges: ranges)
    }

    var residualNorm: Double {
        let view = columns.readable
        let height = rows - rank
        return (rank..<count).reduce(0) { $0 + Element.sumOfSquares(view.base + $1 * rows + rank, height) }.squareRoot()
    }

    mutating func run() throws(LinearAlgebraError) {
        while rank < limit {
            let start = rank
            let width = try choosePivots()
            let kept = factorBlock(width)
            guard kept > 0 else { break }
            ranges.append(start..<rank)
            if kept < width || rank == limit { break }
        }
    }

    /// Brings the next columns to the front of what is left, and rotates the sketch so that theirs is triangular.
    /// - Returns: how many.
    private mutating func choosePivots() throws(LinearAlgebraError) -> Int {
        let left = sketch.rows(rank..<count).transposed
        let choice = try PivotedQR(
            left.readable,
            options: .init(maximumRank: min(blockSize, limit - rank), relativeTolerance: 0))
        // Where each column of the sketch is now, and who stands at each place.
        var place = Array(0..<(count - rank))
        var column = place
        for position in 0..<choice.rank {
            let wanted = choice.permutation[position]
            let from = place[wanted]
            exchange(rank + position, rank + from)
            let displaced = column[position]
            (column[position], column[from]) = (wanted, displaced)
            (place[wanted], place[displaced]) = (position, from)
        }
        choice.applyQTransposed(to: sketch.rows(rank..<count).transposed)
        return choice.rank
    }

    private mutating func exchange(_ first: Int, _ second: Int) {
        guard first != second else { return }
        permutation.swapAt(first, second)
        for view in [columns, sketch] {
            let width = view.columns
            let one = view.base + first * width
            let other = view.base + second * width
            Element.copyScaled(one, by: 1, to: scratch.base, width)
            Element.copyScaled(other, by: 1, to: one, width)
            Element.copyScaled(scratch.base, by: 1, to: other, width)
        }
    }

    /// Factors the chosen columns, applies them to the rest, and takes them out of the sketch.
    /// - Returns: columns whose diagonal entry is above the threshold; only those are kept.
    private mutating func factorBlock(_ width: Int) -> Int {
        let start = rank
        let view = columns
        let panel = PanelFactorization(
            columns: view, reflectors: reflectors, scratch: scratch.base, leafWidth: 8)
        let t = factors.rows(start..<start + width).columns(0..<width)
        panel.factor(start..<start + width, t: t)
        let kept = (0..<width).first { abs(Element.double(view[start + $0, start + $0])) <= threshold } ?? width
        rank = start + kept
        let range = start..<rank
        for j in rank..<start + width {
            // What stands below the diagonal entry of a column that is not kept has gone into that entry.
            (view.base + j * rows + j + 1).update(repeating: 0, count: rows - j - 1)
        }
        panel.block(range, t: t.block(rows: 0..<kept, columns: 0..<kept))
            .apply(transposed: true, to: view.transposed.columns(start + width..<count), scratch: scratch.base)
        if kept == width { reduceSketch(range) }
        return kept
    }

    /// Y₂ ← Y₂ − Y₁ R₁₁⁻¹ R₁₂ in the rows of the sketch where Y₁ is not zero: a sketch of what the block has left.
    private mutating func reduceSketch(_ range: Range<Int>) {
        guard range.upperBound < count else { return }
        let view = columns.readable
        let spent = sketch.rows(range).columns(0..<range.count)  // Y₁ᵀ, lower triangular
        for i in 0..<range.count {
            // Rounding has left noise where the rotation made zeros.
            for j in (i + 1)..<max(range.count, i + 1) { spent[i, j] = 0 }
        }
        // Y₁ᵀ ← R₁₁⁻ᵀ Y₁ᵀ; R₁₁ᵀ is lower triangular in the transposed storage.
        Element.solveTriangular(view.block(rows: range, columns: range), .lower, into: spent)
        let rest = range.upperBound..<count
        Element.multiply(
            view.block(rows: rest, columns: range), spent.readable,
            into: sketch.rows(rest).columns(0..<range.count), alpha: -1, beta: 1)
    }

    func upperTrapezoid(scale: Element) -> DenseMatrix<Element> {
        var r = DenseMatrix<Element>(uninitializedRows: rank, columns: count)
        let view = r.mutableView()
        Element.copy(columns.readable.columns(0..<rank).transposed, scaledBy: scale, into: view)
        for i in 0..<rank { (view.base + i * view.rowStride).update(repeating: 0, count: i) }
        return r
    }
}
