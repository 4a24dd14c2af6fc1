import Foundation
import Kernels
import MatrixCore

/// The stages in the order of the computation.
extension SymmetricEigen {
    func decompose(
        _ a: Matrix64, solver: some TridiagonalSolver, choosing: ([Double]) throws -> Int
    ) throws -> SymmetricEigenResult {
        let n = a.rows
        guard a.columns == n else {
            throw LinearAlgebraError.shapeMismatch(rows: n, columns: a.columns, expected: "square")
        }
        if let position = firstNonFinite(MatrixOperand(a)) {
            throw LinearAlgebraError.nonFinite(row: position.row, column: position.column)
        }
        var evidence = SymmetricEigenEvidence(order: n)
        let exponent = a.view.lowerExponent
        guard let exponent, n > 1 else {
            let values = (0..<n).map { a[$0, $0] }
            let count = min(max(try choosing(values), 0), n)
            let vectors = Matrix64(rows: n, columns: count) { $0 == $1 ? 1 : 0 }
            return SymmetricEigenResult(values: values, vectors: vectors, evidence: evidence)
        }
        let work = evidence.timed("scaling") { scaledLower(a.view, exponent: exponent) }
        let tridiagonal = takesOneStage(n) ? oneStage(work, &evidence) : twoStage(work, &evidence)

        // The solver's values ascend; those of −T do so from the largest of T, with the same vectors.
        var solved = try evidence.timed("tridiagonal") {
            try solver.decompose(
                diagonal: tridiagonal.diagonal.map { -$0 }, offDiagonal: tridiagonal.offDiagonal.map { -$0 },
                choosing: { values in 0..<min(max(try choosing(values.map { scalbn(-$0, exponent) }), 0), n) })
        }
        let vectors = solved.vectors.mutableView()
        evidence.timed("back-transformation") { tridiagonal.backTransform(vectors) }
        let values = solved.values.map { scalbn(-$0, exponent) }
        return SymmetricEigenResult(values: values, vectors: solved.vectors, evidence: evidence)
    }

    private func takesOneStage(_ n: Int) -> Bool {
        switch reduction {
        case .automatic: n <= oneStageLimit
        case .oneStage: true
        case .twoStage: n <= 2
        }
    }

    /// T of A = Q T Qᵀ, and X ← Q X in place.
    private struct Tridiagonal {
        let diagonal: [Double]
        let offDiagonal: [Double]
        let backTransform: (MutableMatrixView<Double>) -> Void
    }

    private func oneStage(_ a: MutableMatrixView<Double>, _ evidence: inout SymmetricEigenEvidence) -> Tridiagonal {
        evidence.solver = .oneStage
        let reduced = evidence.timed("reduction") {
            mirrorLower(a)
            return OneStageReduction(reducing: a)
        }
        let reflectors = BulgeReflectors(
            size: a.rows, bandwidth: Self.oneStageBandwidth(a.rows), sweepsPerBlock: sweepsPerBlock,
            vectors: a.readable, taus: reduced.taus.view)
        return Tridiagonal(
            diagonal: reduced.diagonal, offDiagonal: reduced.offDiagonal, backTransform: reflectors.apply)
    }

    private func twoStage(_ a: MutableMatrixView<Double>, _ evidence: inout SymmetricEigenEvidence) -> Tridiagonal {
        let n = a.rows
        let b = bandwidth
        evidence.solver = .twoStage
        evidence.bandwidth = b
        let band = BandMatrix(size: n, bandwidth: b)
        var first = BandReduction(size: n, bandwidth: b)
        evidence.timed("band reduction") { first.reduce(a, into: band) }
        var second = BulgeChase(size: n, bandwidth: b, sweepsPerGroup: sweepsPerGroup)
        evidence.timed("bulge chase") { second.run(band, vectors: a) }
        let chased = BulgeReflectors(
            size: n, bandwidth: b, sweepsPerBlock: sweepsPerBlock, vectors: a.readable, taus: second.taus.view)
        let panels = PanelReflectors(
            size: n, bandwidth: b, panelsPerBlock: panelsPerBlock, vectors: a.readable,
            triangularFactors: first.triangularFactors.view)
        return Tridiagonal(
            diagonal: (0..<n).map { band[$0, $0] }, offDiagonal: (1..<n).map { band[$0, $0 - 1] },
            backTransform: { x in
                chased.apply(to: x)
                panels.apply(to: x)
            })
    }

    /// Bytes of working memory for order n and `count` vectors, besides A, the result and the tridiagonal solver's own.
    public func scratchBytes(order n: Int, vectors count: Int) -> Int {
        guard n > 1 else { return 0 }
        let copy = n * Self.paddedRowStride(n) * MemoryLayout<Double>.stride
        let empty = Matrix64(rows: 0, columns: 0).view
        func chased(bandwidth: Int) -> Int {
            BulgeReflectors(size: n, bandwidth: bandwidth, sweepsPerBlock: sweepsPerBlock, vectors: empty, taus: empty)
                .scratchBytes(columns: count)
        }
        if takesOneStage(n) {
            return copy + OneStageReduction.scratchBytes(size: n) + chased(bandwidth: Self.oneStageBandwidth(n))
        }
        let reduction = BandReduction.scratchBytes(size: n, bandwidth: bandwidth)
        let chase = BulgeChase.scratchBytes(size: n, bandwidth: bandwidth, sweepsPerGroup: sweepsPerGroup)
        let panels = PanelReflectors(
            size: n, bandwidth: bandwidth, panelsPerBlock: panelsPerBlock, vectors: empty, triangularFactors: empty
        ).scratchBytes(columns: count)
        return copy + BandMatrix.scratchBytes(size: n, bandwidth: bandwidth) + reduction + chase
            + max(chased(bandwidth: bandwidth), panels)
    }

    /// The reflectors of a one-stage reduction are those of a chase whose every sweep has one step.
    private static func oneStageBandwidth(_ n: Int) -> Int { (n + 6) / 8 * 8 }

    /// Rows start at cache lines, and not a large power of two apart, where they would compete for the same sets.
    private static func paddedRowStride(_ n: Int) -> Int {
        let aligned = (n + 7) / 8 * 8
        return aligned % 256 == 0 ? aligned + 8 : aligned
    }

    /// The lower triangle of a · 2^(−exponent); above the diagonal nothing is written.
    private func scaledLower(_ a: MatrixView<Double>, exponent: Int) -> MutableMatrixView<Double> {
        let n = a.rows
        let stride = Self.paddedRowStride(n)
        let buffer = AlignedBuffer<Double>(uninitializedCount: n * stride)
        let copy = MutableMatrixView(base: buffer.base, rows: n, columns: n, rowStride: stride, owner: buffer)
        // Two factors, because 2^(−exponent) itself may be out of range.
        let half = exponent / 2
        let (first, second) = (scalbn(1, -half), scalbn(1, half - exponent))
        for i in 0..<n {
            let source = a.base + i * a.rowStride
            let target = copy.base + i * stride
            for j in 0...i { target[j] = source[j] * first * second }
        }
        return copy
    }

    private func mirrorLower(_ a: MutableMatrixView<Double>) {
        for i in 0..<a.rows {
            for j in 0..<i { a[j, i] = a[i, j] }
        }
    }
}

extension MatrixView<Double> {
    /// The exponent of the largest element of the lower triangle; nil if all of it is zero.
    fileprivate var lowerExponent: Int? {
        var largest = 0.0
        for i in 0..<rows {
            let row = base + i * rowStride
            for j in 0...i { largest = max(largest, row[j].magnitude) }
        }
        return largest > 0 ? Int(largest.exponent) : nil
    }
}
