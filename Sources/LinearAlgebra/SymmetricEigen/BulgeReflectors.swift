import Kernels
import MatrixCore

/// Applies the reflectors of a bulge chase to eigenvectors of the tridiagonal matrix: X ← Q X.
///
/// Reflectors of g neighbouring sweeps at the same step overlap but for one row each; together they are one block
/// I − V T Vᵀ with V (b + g − 1 × g) a parallelogram. Reflectors of one sweep touch disjoint rows, and (s, step) meets a
/// later sweep only at its own step and the one before, so within a group the steps may be taken one after another,
/// first step first, and groups from the last to the first.
///
/// - Cost: 2 n² c (1 + g/b) flops for c columns.
/// - Source: Haidar, Solcà, Gates, Tomov, Schulthess and Dongarra, "A novel hybrid CPU–GPU generalized eigensolver",
///   2014, §4 (diamond-shaped blocks).
struct BulgeReflectors {
    let size: Int
    let bandwidth: Int
    /// g, sweeps of a block.
    let sweepsPerBlock: Int
    /// Reflectors as `BulgeChase` leaves them (n × n, right of the diagonal).
    let vectors: MatrixView<Double>
    /// τ (sweeps × steps).
    let taus: MatrixView<Double>

    static func scratchBytes(bandwidth: Int, sweepsPerBlock g: Int, columns: Int) -> Int {
        (g * (bandwidth + g) + 2 * g * g + g + 2 * g * columns) * MemoryLayout<Double>.stride
    }

    /// X ← Q X in place, X (n × c).
    func apply(to x: MutableMatrixView<Double>) {
        let g = sweepsPerBlock
        let sweeps = BulgeChase.sweeps(size: size)
        let transposed = AlignedBuffer<Double>(uninitializedCount: g * (bandwidth + g))
        let factors = AlignedBuffer<Double>(uninitializedCount: 2 * g * g + g)
        let workspace = AlignedBuffer<Double>(uninitializedCount: 2 * g * x.columns)
        for firstSweep in stride(from: 0, to: sweeps, by: g).reversed() {
            let count = min(g, sweeps - firstSweep)
            let steps = (size - firstSweep - 2) / bandwidth + 1
            for step in 0..<steps {
                let firstRow = firstSweep + 1 + step * bandwidth
                let rows = min(bandwidth + count - 1, size - firstRow)
                let v = MutableMatrixView(
                    base: transposed.base, rows: count, columns: rows, rowStride: rows, owner: transposed)
                gather(firstSweep, step, into: v)
                let t = triangularFactor(firstSweep, step, transposed: v.readable, factors)
                CompactWY.apply(
                    MatrixOperand(v.readable.transposed), t, to: x.rows(firstRow..<firstRow + rows), workspace: workspace)
            }
        }
    }

    /// Vᵀ (count × rows): row q is the reflector of sweep firstSweep + q, zero outside of its own rows.
    private func gather(_ firstSweep: Int, _ step: Int, into v: MutableMatrixView<Double>) {
        let firstRow = firstSweep + 1 + step * bandwidth
        for q in 0..<v.rows {
            let target = v.base + q * v.rowStride
            let source = vectors.base + (firstSweep + q) * vectors.rowStride + firstRow
            let start = min(q, v.columns)
            let end = min(q + bandwidth, v.columns)
            target.update(repeating: 0, count: start)
            (target + start).update(from: source + start, count: end - start)
            (target + end).update(repeating: 0, count: v.columns - end)
        }
    }

    /// T (count × count) of one block.
    private func triangularFactor(
        _ firstSweep: Int, _ step: Int, transposed v: MatrixView<Double>, _ factors: AlignedBuffer<Double>
    ) -> MatrixView<Double> {
        let k = v.rows
        let gram = MutableMatrixView(base: factors.base, rows: k, columns: k, rowStride: k, owner: factors)
        let t = MutableMatrixView(base: factors.base + k * k, rows: k, columns: k, rowStride: k, owner: factors)
        let tau = factors.base + 2 * k * k
        for q in 0..<k { tau[q] = taus[firstSweep + q, step] }
        multiplyByTranspose(MatrixOperand(v), into: gram)
        CompactWY.triangularFactor(gram: gram.readable, taus: tau, into: t)
        return t.readable
    }
}
