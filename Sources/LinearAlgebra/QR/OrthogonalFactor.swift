import MatrixCore

/// An orthogonal Q (m × m), kept as the blocks of reflectors that a QR factorisation left.
struct OrthogonalFactor<Element: FactorScalar>: Sendable {
    /// Vᵀ (k × m), unit upper trapezoidal, zeros written out.
    let reflectors: DenseMatrix<Element>
    /// The T factors one below the other (k × widest block).
    let factors: DenseMatrix<Element>
    /// Columns of each block, in order; together 0 ..< k.
    let ranges: [Range<Int>]

    var rows: Int { reflectors.columns }
    /// k, the number of reflectors.
    var size: Int { ranges.last?.upperBound ?? 0 }

    /// The first k columns of Q (m × k). Cost: 4mk² − 2k³ operations at most.
    func thin() -> DenseMatrix<Element> {
        var q = DenseMatrix<Element>(rows: rows, columns: size)
        let view = q.mutableView()
        for i in 0..<size { view[i, i] = 1 }
        let scratch = scratch(columns: size)
        for block in blocks().reversed() {
            // Columns before the block are still unit vectors above it: nothing to do there.
            block.apply(transposed: false, to: view.columns(block.start..<size), scratch: scratch.base)
        }
        return q
    }

    /// c ← Q c, or Qᵀ c; c (m × p).
    func apply(transposed: Bool, to c: MutableMatrixView<Element>) {
        precondition(c.rows == rows, "c has \(c.rows) rows, Q has \(rows)")
        let scratch = scratch(columns: c.columns)
        for block in transposed ? blocks() : blocks().reversed() {
            block.apply(transposed: transposed, to: c, scratch: scratch.base)
        }
    }

    private func blocks() -> [BlockReflector<Element>] {
        ranges.map { range in
            BlockReflector(
                start: range.lowerBound,
                transposedV: reflectors.view.block(rows: range, columns: range.lowerBound..<rows),
                t: factors.view.block(rows: range, columns: 0..<range.count))
        }
    }

    private func scratch(columns: Int) -> AlignedBuffer<Element> {
        AlignedBuffer(
            uninitializedCount: BlockReflector<Element>.scratchCount(size: factors.columns, columns: columns))
    }
}
