import MatrixCore

/// Rows that span a matrix, and the others in terms of them: A_rest ≈ C · A_p.
///
/// A (m × r) is a factor of a rank-r matrix W' = A B. With r of its rows as pivots, W' is stored as the pivot rows of
/// W' itself and C ((m − r) × r), which is r² numbers fewer than A and B together. Rounding noise in the pivot rows is
/// multiplied by ‖C‖₂, so rows are chosen to keep C small.
///
/// - Method: a column-pivoted QR of Aᵀ gives the rows and C = (R₁⁻¹R₂)ᵀ; or elimination with row exchanges gives them
///   and C = L₂L₁⁻¹. Then, while an entry of C is larger in magnitude than `largestEntryBound`, its row and its pivot
///   change places, each time multiplying the volume of the pivot block by that magnitude. So the search ends; every
///   swap updates C by a rank-one step of mr operations.
/// - Cost: that of `PivotedQR` (r × m) or `PivotedLU` (m × r), plus a factorisation of the pivot block if there were
///   swaps.
/// - Source: Gu and Eisenstat, "Efficient algorithms for computing a strong rank-revealing QR factorization", 1996; the
///   swaps are those of Goreinov and Tyrtyshnikov's maximal volume, 2001.
public struct PivotRows<Element: FactorScalar>: Sendable {
    /// How the first choice of rows is made.
    public enum Search: Sendable {
        /// By pivoted QR: by what is left of the rows, one at a time.
        case norms
        /// By elimination of a column after another: many times faster on large factors, coefficients slightly larger.
        /// As many rows as A has columns only, and these independent; otherwise by norms.
        case elimination
        /// Elimination from `eliminationLimit` rows chosen on, where no bound asks for the best start.
        case automatic
    }

    public struct Options: Sendable {
        public var search = Search.automatic
        /// Fewest rows to choose for which `automatic` takes elimination.
        public var eliminationLimit = 256
        /// Swap until no |C_ij| is above this; nil never swaps. Values just above 1 can take many swaps.
        public var largestEntryBound: Double?
        /// Most swaps; a bound that is not met within it is reported by `largestEntry`.
        public var swapLimit = 1000
        /// Steps of the power iteration behind `spectralNorm`.
        public var normSteps = 20

        public init(largestEntryBound: Double? = nil) { self.largestEntryBound = largestEntryBound }

        func eliminates(_ count: Int) -> Bool {
            switch search {
            case .norms: false
            case .elimination: true
            case .automatic: count >= eliminationLimit && largestEntryBound == nil
            }
        }
    }

    /// The rows chosen, ascending.
    public let pivots: [Int]
    /// The other rows, ascending.
    public let rest: [Int]
    /// C (rest × pivots): A_rest ≈ C · A_p, exact where the pivots span A.
    public let interpolation: DenseMatrix<Element>
    /// Rank of A found by the pivoted QR; at most the number of pivots.
    public let rank: Int
    public let swaps: Int
    /// max |C_ij|.
    public let largestEntry: Double
    /// ‖C‖₂, from below by power iteration: a few per mille short at worst in practice.
    public let spectralNorm: Double

    /// `count` rows of a (m × r) that span it well, ascending; count ≤ m.
    public static func selectRows(
        of a: MatrixView<Element>, count: Int, options: Options = Options()
    ) throws(LinearAlgebraError) -> [Int] {
        try choose(a, count, options).order[..<count].sorted()
    }

    /// - Parameters:
    ///   - a: (m × r).
    ///   - count: rows to choose, at most m; usually r.
    /// - Throws: `shapeMismatch` if a has fewer rows, `nonFinite`.
    public init(
        of a: MatrixView<Element>, count: Int, options: Options = Options()
    ) throws(LinearAlgebraError) {
        let choice = try Self.choose(a, count, options)
        var order = choice.order
        var c = choice.coefficients()
        var swaps = 0
        if let bound = options.largestEntryBound, choice.rank == count {
            var exchange = VolumeExchange(order: order, c: c)
            swaps = exchange.run(bound: max(bound, 1), limit: options.swapLimit)
            order = exchange.order
            c = exchange.c
            if swaps > 0 { c = try Self.recomputed(a, order: order, count: count) }
        }
        let pivotOrder = (0..<count).sorted { order[$0] < order[$1] }
        let restOrder = (count..<a.rows).sorted { order[$0] < order[$1] }
        pivots = pivotOrder.map { order[$0] }
        rest = restOrder.map { order[$0] }
        interpolation = Self.reordered(c, rows: restOrder.map { $0 - count }, columns: pivotOrder)
        rank = choice.rank
        self.swaps = swaps
        largestEntry = Element.largestMagnitude(interpolation.view)
        spectralNorm = Self.spectralNorm(of: interpolation.view, steps: options.normSteps)
    }

    /// The first choice: pivots first, then the others, and C in this order where it is asked for.
    struct Choice {
        let order: [Int]
        let rank: Int
        /// Whether the rows of leading columns are the first of these, in the order of the columns.
        let isNested: Bool
        let coefficients: () -> DenseMatrix<Element>
    }

    static func choose(
        _ a: MatrixView<Element>, _ count: Int, _ options: Options
    ) throws(LinearAlgebraError) -> Choice {
        guard count >= 0, count <= a.rows else {
            throw .shapeMismatch(
                rows: a.rows, columns: a.columns, expected: "at least as tall as the \(count) rows asked for")
        }
        if options.eliminates(count), count == a.columns {
            let lu = try PivotedLU(a)
            if lu.rank == count {
                return Choice(order: lu.permutation, rank: count, isNested: true, coefficients: lu.interpolation)
            }
        }
        let qr = try PivotedQR(a.transposed, options: .init(maximumRank: count))
        return Choice(order: qr.permutation, rank: qr.rank, isNested: false) { coefficients(qr, count: count) }
    }

    /// C in the order of the factorisation: (R₁⁻¹ R₂)ᵀ; pivots beyond the rank take no part.
    private static func coefficients(_ qr: PivotedQR<Element>, count: Int) -> DenseMatrix<Element> {
        let all = qr.permutation.count
        var c = DenseMatrix<Element>(rows: all - count, columns: count)
        let target = c.mutableView().columns(0..<qr.rank)
        Element.copy(qr.r.view.columns(count..<all).transposed, scaledBy: 1, into: target)
        Element.solveTriangular(qr.r.view.columns(0..<qr.rank), .upper, into: target.transposed)
        return c
    }

    private static func reordered(
        _ c: DenseMatrix<Element>, rows: [Int], columns: [Int]
    ) -> DenseMatrix<Element> {
        var result = DenseMatrix<Element>(uninitializedRows: rows.count, columns: columns.count)
        let target = result.mutableView()
        for (i, row) in rows.enumerated() {
            Element.gather(c.view.base + row * c.columns, columns, into: target.base + i * columns.count)
        }
        return result
    }

    /// C from a fresh factorisation of the pivot rows, free of what the swaps' updates have rounded.
    private static func recomputed(
        _ a: MatrixView<Element>, order: [Int], count: Int
    ) throws(LinearAlgebraError) -> DenseMatrix<Element> {
        var pivots = DenseMatrix<Element>(uninitializedRows: count, columns: a.columns)
        var others = DenseMatrix<Element>(uninitializedRows: order.count - count, columns: a.columns)
        let pivotView = pivots.mutableView()
        let otherView = others.mutableView()
        for (position, row) in order.enumerated() {
            let target =
                position < count
                ? pivotView.rows(position..<position + 1) : otherView.rows(position - count..<position - count + 1)
            Element.copy(a.rows(row..<row + 1), scaledBy: 1, into: target)
        }
        let qr = try HouseholderQR(pivotView.readable.transposed)
        qr.applyQTransposed(to: otherView.transposed)
        let solution = otherView.columns(0..<count)
        Element.solveTriangular(qr.r.view, .upper, into: solution.transposed)
        return Element.matrix(solution.readable)
    }

    /// ‖C‖₂ from below, by power iteration.
    public static func spectralNorm(of c: MatrixView<Element>, steps: Int) -> Double {
        spectralNorm(rows: c.rows, columns: c.columns, steps: steps) { isTransposed, x, y in
            Element.multiply(isTransposed ? c.transposed : c, x, into: y, alpha: 1, beta: 0)
        }
    }

    /// The same of any C (rows × columns) that can be multiplied with.
    /// - Parameter multiply: y ← C x, or Cᵀ x.
    public static func spectralNorm(
        rows: Int, columns: Int, steps: Int,
        multiply: (_ isTransposed: Bool, _ x: MatrixView<Element>, _ y: MutableMatrixView<Element>) -> Void
    ) -> Double {
        guard rows > 0, columns > 0 else { return 0 }
        let random = CounterRandom(seed: 0, stream: 0x5049_564F_5400)
        var x: DenseMatrix<Element> = random.normalMatrix(rows: columns, columns: 1)
        var y = DenseMatrix<Element>(rows: rows, columns: 1)
        var norm = 0.0
        for _ in 0..<max(1, steps) {
            let length = Element.sumOfSquares(x.view.base, columns).squareRoot()
            guard length > 0, length.isFinite else { return 0 }
            let unit = x.mutableView()
            Element.copyScaled(unit.base, by: Element.from(1 / length), to: unit.base, columns)
            multiply(false, x.view, y.mutableView())
            norm = Element.sumOfSquares(y.view.base, rows).squareRoot()
            multiply(true, y.view, x.mutableView())
        }
        return norm
    }
}

/// Swaps of a pivot with another row until no coefficient is large.
private struct VolumeExchange<Element: FactorScalar> {
    /// Pivots first, then the others, in the order of the rows of c.
    var order: [Int]
    var c: DenseMatrix<Element>

    /// - Returns: swaps done.
    mutating func run(bound: Double, limit: Int) -> Int {
        var swaps = 0
        while swaps < limit, let (i, j) = largest(above: bound) {
            exchange(row: i, pivot: j)
            swaps += 1
        }
        return swaps
    }

    private func largest(above bound: Double) -> (Int, Int)? {
        var best = bound
        var place: (Int, Int)?
        var values = [Double](repeating: 0, count: c.columns)
        for i in 0..<c.rows {
            values.withUnsafeMutableBufferPointer { target in
                if let base = target.baseAddress {
                    Element.widen(c.view.base + i * c.columns, stride: 1, into: base, target.count)
                }
            }
            for (j, value) in values.enumerated() where abs(value) > best {
                best = abs(value)
                place = (i, j)
            }
        }
        return place
    }

    /// Row i of the others becomes pivot j: C ← C − (C_·j − e_i)(C_i· + e_j) / C_ij.
    private mutating func exchange(row i: Int, pivot j: Int) {
        let width = c.columns
        let pivotRow = c.view.rows(i..<i + 1)
        var direction = DenseMatrix<Element>(pivotRow)
        let divisor = direction[0, j]
        direction[0, j] += 1
        let view = c.mutableView()
        for row in 0..<c.rows {
            let weight = (row == i ? view[row, j] - 1 : view[row, j]) / divisor
            Element.addScaled(direction.view.base, by: -weight, to: view.base + row * width, width)
        }
        order.swapAt(j, width + i)
    }
}
