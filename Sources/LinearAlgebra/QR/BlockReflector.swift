import MatrixCore

/// A product of Householder reflectors in compact WY form: Q = I − V T Vᵀ.
///
/// V (m × b) is unit lower trapezoidal and is held as Vᵀ, so that each reflector is contiguous; T (b × b) is upper
/// triangular. Applying Q to C (m × p) is two multiplications of V with C and a small one with T: 4mbp operations.
///
/// - Source: Schreiber and Van Loan, "A storage-efficient WY representation", 1989.
struct BlockReflector<Element: FactorScalar> {
    /// Row of the whole matrix where V starts; rows above are not touched.
    let start: Int
    let transposedV: MatrixView<Element>  // (b × m)
    let t: MatrixView<Element>  // (b × b)

    var size: Int { t.rows }

    /// Numbers of scratch that `apply` needs for a C of p columns.
    static func scratchCount(size: Int, columns: Int) -> Int { 2 * size * columns }

    /// C ← Q C, or Qᵀ C if `transposed`; c is the whole matrix, of which the rows from `start` are changed.
    ///
    /// C may be stored by rows or by columns; the products are written the way that C is stored, because kernels write
    /// whole rows.
    func apply(
        transposed: Bool, to c: MutableMatrixView<Element>, scratch: UnsafeMutablePointer<Element>
    ) {
        guard size > 0, c.columns > 0 else { return }
        let c = c.rows(start..<c.rows)
        let count = c.columns
        let factor = transposed ? t.transposed : t
        if c.columnStride == 1 {
            let first = MutableMatrixView(base: scratch, rows: size, columns: count, rowStride: count)
            let second = MutableMatrixView(base: scratch + size * count, rows: size, columns: count, rowStride: count)
            Element.multiply(transposedV, c.readable, into: first, alpha: 1, beta: 0)
            Element.multiply(factor, first.readable, into: second, alpha: 1, beta: 0)
            Element.multiply(transposedV.transposed, second.readable, into: c, alpha: -1, beta: 1)
        } else {
            let first = MutableMatrixView(base: scratch, rows: count, columns: size, rowStride: size)
            let second = MutableMatrixView(base: scratch + size * count, rows: count, columns: size, rowStride: size)
            Element.multiply(c.readable.transposed, transposedV.transposed, into: first, alpha: 1, beta: 0)
            Element.multiply(first.readable, factor.transposed, into: second, alpha: 1, beta: 0)
            Element.multiply(second.readable, transposedV, into: c.transposed, alpha: -1, beta: 1)
        }
    }
}

/// A Householder reflector H = I − τ v vᵀ with v₀ = 1 that maps a column to (β, 0, …, 0).
struct Reflector {
    let tau: Double
    let beta: Double

    /// Replaces the column by v, in place.
    ///
    /// β has the sign opposite to the first entry, so v₀ is found without cancellation. A column that is already zero
    /// below its first entry, or too small to be normalised, gets τ = 0 and v = e₀: H = I.
    static func make<Element: FactorScalar>(
        from column: UnsafeMutablePointer<Element>, count: Int, _: Element.Type = Element.self
    ) -> Reflector {
        let alpha = Element.double(column[0])
        let tail = Element.sumOfSquares(column + 1, count - 1)
        column[0] = 1
        guard tail.squareRoot() > Element.negligibleNorm else {
            for i in 1..<max(count, 1) { column[i] = 0 }
            return Reflector(tau: 0, beta: alpha)
        }
        let norm = (alpha * alpha + tail).squareRoot()
        let beta = alpha > 0 ? -norm : norm
        Element.copyScaled(column + 1, by: Element.from(1 / (alpha - beta)), to: column + 1, count - 1)
        return Reflector(tau: (beta - alpha) / beta, beta: beta)
    }
}
