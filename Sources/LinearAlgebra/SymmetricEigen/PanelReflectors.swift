import Kernels
import MatrixCore

/// Applies the reflectors of a band reduction to vectors: X ← Q X.
///
/// Each panel of the reduction is a block I − V_p T_p V_pᵀ of b reflectors. Neighbouring panels are joined to one block
/// first, because a product of depth b is bound by the traffic of X:
///
///     T = ( T₁  −T₁ V₁ᵀ V₂ T₂ )
///         (  0        T₂       )
///
/// - Cost: 2 n² c flops for c columns, and n² q b/2 for joining q panels.
/// - Source: Schreiber and Van Loan, 1989; Elmroth and Gustavson, 2000, for joining T.
struct PanelReflectors<Source: FactorScalar> {
    let size: Int
    let bandwidth: Int
    /// q, panels that are applied together.
    let panelsPerBlock: Int
    /// V_p (n − (p + 1) b × b) below the diagonal block of columns p b … (p + 1) b; the rest of it is not read.
    let vectors: MatrixView<Source>
    /// T_p (b × b) one below the other.
    let triangularFactors: MatrixView<Source>

    private var panels: Int { BandShape.panels(size: size, bandwidth: bandwidth) }
    private var widest: Int { min(panelsPerBlock, panels) * bandwidth }

    func scratchBytes(columns: Int) -> Int {
        (size * widest + 3 * widest * widest + 2 * widest * columns) * MemoryLayout<Double>.stride
    }

    /// X ← Q X in place, X (n × c).
    func apply<Element: FactorScalar>(to x: MutableMatrixView<Element>) {
        guard panels > 0, x.columns > 0 else { return }
        let joined = AlignedBuffer<Source>(uninitializedCount: size * widest)
        let small = AlignedBuffer<Source>(uninitializedCount: 3 * widest * widest)
        let workspace = AlignedBuffer<Element>(uninitializedCount: 2 * widest * x.columns)
        for end in stride(from: panels, to: 0, by: -panelsPerBlock) {
            let block = max(0, end - panelsPerBlock)..<end
            let rows = (block.lowerBound + 1) * bandwidth..<size
            let v = MutableMatrixView(
                base: joined.base, rows: rows.count, columns: block.count * bandwidth,
                rowStride: block.count * bandwidth, owner: joined)
            join(block, into: v)
            let t = triangularFactor(block, v.readable, small)
            CompactWY.apply(rounded(v.readable), rounded(t), to: x.rows(rows), workspace: workspace)
        }
    }

    /// The matrix itself where it has the type, a copy otherwise.
    private func rounded<Element: FactorScalar>(_ matrix: MatrixView<Source>) -> MatrixView<Element> {
        if let same = matrix as? MatrixView<Element> { return same }
        var copy = DenseMatrix<Element>(uninitializedRows: matrix.rows, columns: matrix.columns)
        convert(MatrixOperand(matrix), into: MutableMatrixOperand(copy.mutableView()))
        return copy.view
    }

    /// V of a block of panels, with zeros above each panel.
    private func join(_ block: Range<Int>, into v: MutableMatrixView<Source>) {
        let b = bandwidth
        let first = block.lowerBound
        parallelFor((v.rows + b - 1) / b) { strip in
            for i in strip * b..<min((strip + 1) * b, v.rows) {
                // Panel p starts p − first blocks of rows further down.
                let filled = min(strip + 1, block.count) * b
                let source = vectors.base + ((first + 1) * b + i) * vectors.rowStride + first * b
                (v.base + i * v.rowStride).update(from: source, count: filled)
                (v.base + i * v.rowStride + filled).update(repeating: 0, count: v.columns - filled)
            }
        }
    }

    private func triangularFactor(
        _ block: Range<Int>, _ v: MatrixView<Source>, _ small: AlignedBuffer<Source>
    ) -> MatrixView<Source> {
        let k = v.columns
        func square(_ index: Int) -> MutableMatrixView<Source> {
            MutableMatrixView(base: small.base + index * k * k, rows: k, columns: k, rowStride: k, owner: small)
        }
        let (gram, t, product) = (square(0), square(1), square(2))
        Source.multiplyByTranspose(v.transposed, into: gram, alpha: 1, beta: 0)
        t.base.update(repeating: 0, count: k * k)
        for (index, panel) in block.enumerated() {
            let own = index * bandwidth..<(index + 1) * bandwidth
            let last = triangularFactors.rows(panel * bandwidth..<(panel + 1) * bandwidth)
            for i in 0..<bandwidth {
                (t.base + (own.lowerBound + i) * k + own.lowerBound).update(
                    from: last.base + i * last.rowStride, count: bandwidth)
            }
            let before = 0..<own.lowerBound
            guard !before.isEmpty else { continue }
            let coupling = product.block(rows: before, columns: own)
            Source.multiply(
                gram.readable.block(rows: before, columns: own), last, into: coupling, alpha: 1, beta: 0)
            Source.multiply(
                t.readable.block(rows: before, columns: before), coupling.readable,
                into: t.block(rows: before, columns: own), alpha: -1, beta: 0)
        }
        return t.readable
    }
}
