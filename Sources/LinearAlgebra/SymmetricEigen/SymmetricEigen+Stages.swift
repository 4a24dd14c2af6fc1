import Foundation
import Kernels
import MatrixCore

/// A = Q T Qᵀ with the eigenvectors of T: all but the last stage, whose precision can be chosen when the values are
/// known.
struct ReducedEigen {
    /// Descending.
    let values: [Double]
    /// Eigenvectors of T that belong to the largest values; after `backTransform`, those of A (n × count).
    fileprivate(set) var vectors: Matrix64
    fileprivate let reduction: BackTransformation
    fileprivate(set) var evidence: SymmetricEigenEvidence

    /// How many vectors there are.
    var columns: Int { vectors.columns }

    /// Makes the vectors those of A; once.
    mutating func backTransform() {
        if case .none = reduction { return }
        let target = vectors.mutableView()
        evidence.timed("back-transformation") { reduction.apply(target.readable, into: target) }
    }

    /// Gives up the vectors; a copy of this value then has the only ones, and changes them in place.
    mutating func releaseVectors() {
        vectors = Matrix64(rows: 0, columns: 0)
    }

    /// The vectors of A (n × count), the back-transformation computed in Float in half the time: instead of
    /// `backTransform`, where columns that are off by `roundedVectorError` will do.
    func roundedVectors() -> Matrix {
        var result = Matrix(uninitializedRows: vectors.rows, columns: vectors.columns)
        reduction.apply(vectors.view, into: result.mutableView())
        return result
    }

    /// The length of what a column of `roundedVectors` is off by, at most; 5e-8 · √n is seen at large n.
    static func roundedVectorError(order: Int) -> Double { 8e-8 * Double(order + 64).squareRoot() }
}

/// T of A = Q T Qᵀ, and the reflectors of Q in the type that A was reduced in.
private struct Tridiagonal<Source: FactorScalar> {
    let diagonal: [Double]
    let offDiagonal: [Double]
    let chased: BulgeReflectors<Source>
    /// Those of the first stage, where there are two.
    var panels: PanelReflectors<Source>?

    /// result ← Q X; they may be the same.
    func backTransform<Element: FactorScalar>(_ x: MatrixView<Double>, into result: MutableMatrixView<Element>) {
        guard x.columns > 0 else { return }
        let copy = ReflectorPanels<Element>(copying: x, extraRows: chased.blockRows)
        chased.apply(to: copy)
        panels?.apply(to: copy)
        copy.copy(into: result)
    }
}

/// The Q of a reduction. Cases and not a protocol, so that its loops are compiled for either type.
private enum BackTransformation {
    case none
    case double(Tridiagonal<Double>)
    case float(Tridiagonal<Float>)

    /// result ← Q X; they may be the same.
    func apply(_ x: MatrixView<Double>, into result: MutableMatrixView<Double>) {
        switch self {
        case .none: convert(MatrixOperand(x), into: MutableMatrixOperand(result))
        case .double(let tridiagonal): tridiagonal.backTransform(x, into: result)
        case .float(let tridiagonal): tridiagonal.backTransform(x, into: result)
        }
    }

    func apply(_ x: MatrixView<Double>, into result: MutableMatrixView<Float>) {
        switch self {
        case .none: convert(MatrixOperand(x), into: MutableMatrixOperand(result))
        case .double(let tridiagonal): tridiagonal.backTransform(x, into: result)
        case .float(let tridiagonal): tridiagonal.backTransform(x, into: result)
        }
    }
}

/// The stages in the order of the computation.
extension SymmetricEigen {
    func decompose(
        _ a: Matrix64, solver: some TridiagonalSolver, choosing: ([Double]) throws -> Int
    ) throws -> SymmetricEigenResult {
        var reduced = try reduce(a, solver: solver, choosing: choosing)
        reduced.backTransform()
        return SymmetricEigenResult(values: reduced.values, vectors: reduced.vectors, evidence: reduced.evidence)
    }

    func reduce(
        _ a: Matrix64, solver: some TridiagonalSolver = TridiagonalEigen(), choosing: ([Double]) throws -> Int
    ) throws -> ReducedEigen {
        let n = a.rows
        guard a.columns == n else {
            throw LinearAlgebraError.shapeMismatch(rows: n, columns: a.columns, expected: "square")
        }
        var evidence = SymmetricEigenEvidence(order: n)
        let exponent = try a.view.lowerExponent()
        guard let exponent, n > 1 else {
            let values = (0..<n).map { a[$0, $0] }
            let count = min(max(try choosing(values), 0), n)
            let vectors = Matrix64(rows: n, columns: count) { $0 == $1 ? 1 : 0 }
            return ReducedEigen(values: values, vectors: vectors, reduction: .none, evidence: evidence)
        }
        let work = evidence.timed("scaling") { scaledLower(a.view, exponent: exponent) }
        let tridiagonal = takesOneStage(n) ? oneStage(work, &evidence) : twoStage(work, &evidence)
        return try Self.solve(
            (tridiagonal.diagonal, tridiagonal.offDiagonal, .double(tridiagonal)), exponent: exponent, solver: solver,
            evidence, choosing: choosing)
    }

    /// The stages up to the vectors of T for a matrix in Float, with the two-stage reduction in Float.
    ///
    /// T has the rounding of Float: its values are off by about 1e-7 · λ₁, and so may be its own vectors.
    /// - Parameters:
    ///   - a: the lower triangle of A / 2^exponent (n × n), n > 2, finite, no element above 1; overwritten, and held by
    ///     the result. Rows best start as `paddedRowStride` says.
    func reduceInFloat(
        _ a: MutableMatrixView<Float>, exponent: Int, choosing: ([Double]) throws -> Int
    ) throws -> ReducedEigen {
        var evidence = SymmetricEigenEvidence(order: a.rows)
        let tridiagonal = twoStage(a, &evidence)
        return try Self.solve(
            (tridiagonal.diagonal, tridiagonal.offDiagonal, .float(tridiagonal)), exponent: exponent,
            solver: TridiagonalEigen(precision: .float), evidence, choosing: choosing)
    }

    private static func solve(
        _ reduced: (diagonal: [Double], offDiagonal: [Double], reduction: BackTransformation), exponent: Int,
        solver: some TridiagonalSolver, _ before: SymmetricEigenEvidence, choosing: ([Double]) throws -> Int
    ) throws -> ReducedEigen {
        var evidence = before
        let n = reduced.diagonal.count
        // The solver's values ascend; those of −T do so from the largest of T, with the same vectors.
        let solved = try evidence.timed("tridiagonal") {
            try solver.decompose(
                diagonal: reduced.diagonal.map { -$0 }, offDiagonal: reduced.offDiagonal.map { -$0 },
                choosing: { values in 0..<min(max(try choosing(values.map { scalbn(-$0, exponent) }), 0), n) })
        }
        let values = solved.values.map { scalbn(-$0, exponent) }
        return ReducedEigen(
            values: values, vectors: solved.vectors, reduction: reduced.reduction, evidence: evidence)
    }

    private func takesOneStage(_ n: Int) -> Bool {
        switch reduction {
        case .automatic: n <= oneStageLimit
        case .oneStage: true
        case .twoStage: n <= 2
        }
    }

    private func oneStage(_ a: MutableMatrixView<Double>, _ evidence: inout SymmetricEigenEvidence) -> Tridiagonal<Double> {
        evidence.solver = .oneStage
        let reduced = evidence.timed("reduction") {
            mirrorLower(a)
            return OneStageReduction(reducing: a)
        }
        let reflectors = BulgeReflectors(
            size: a.rows, bandwidth: Self.oneStageBandwidth(a.rows), sweepsPerBlock: sweepsPerBlock,
            vectors: a.readable, taus: reduced.taus.view, bytesPerRound: reflectorBytesPerRound)
        return Tridiagonal(diagonal: reduced.diagonal, offDiagonal: reduced.offDiagonal, chased: reflectors)
    }

    private func twoStage<Element: FactorScalar>(
        _ a: MutableMatrixView<Element>, _ evidence: inout SymmetricEigenEvidence
    ) -> Tridiagonal<Element> {
        let n = a.rows
        let b = bandwidth
        evidence.solver = .twoStage
        evidence.bandwidth = b
        let band = BandMatrix<Element>(size: n, bandwidth: b)
        var first = BandReduction<Element>(size: n, bandwidth: b)
        evidence.timed("band reduction") { first.reduce(a, into: band) }
        var second = BulgeChase<Element>(size: n, bandwidth: b, sweepsPerGroup: sweepsPerGroup)
        evidence.timed("bulge chase") { second.run(band, vectors: a) }
        let chased = BulgeReflectors(
            size: n, bandwidth: b, sweepsPerBlock: sweepsPerBlock, vectors: a.readable, taus: second.taus.view,
            bytesPerRound: reflectorBytesPerRound)
        let panels = PanelReflectors(
            size: n, bandwidth: b, vectors: a.readable, triangularFactors: first.triangularFactors.view,
            bytesPerRound: reflectorBytesPerRound)
        return Tridiagonal(
            diagonal: (0..<n).map { Element.double(band[$0, $0]) },
            offDiagonal: (1..<n).map { Element.double(band[$0, $0 - 1]) }, chased: chased, panels: panels)
    }

    /// Bytes of working memory for order n and `count` vectors, besides A, the result and the tridiagonal solver's own.
    public func scratchBytes(order n: Int, vectors count: Int) -> Int {
        guard n > 1 else { return 0 }
        let copy = n * Self.paddedRowStride(n) * MemoryLayout<Double>.stride
        let empty = Matrix64(rows: 0, columns: 0).view
        func chased(bandwidth: Int) -> BulgeReflectors<Double> {
            BulgeReflectors(
                size: n, bandwidth: bandwidth, sweepsPerBlock: sweepsPerBlock, vectors: empty, taus: empty,
                bytesPerRound: reflectorBytesPerRound)
        }
        func panels(for reflectors: BulgeReflectors<Double>) -> Int {
            ReflectorPanels<Double>.bytes(rows: n + reflectors.blockRows, columns: count)
        }
        if takesOneStage(n) {
            let reflectors = chased(bandwidth: Self.oneStageBandwidth(n))
            return copy + OneStageReduction.scratchBytes(size: n) + panels(for: reflectors) + reflectors.scratchBytes
        }
        let reduction = BandReduction<Double>.scratchBytes(size: n, bandwidth: bandwidth)
        let chase = BulgeChase<Double>.scratchBytes(size: n, bandwidth: bandwidth, sweepsPerGroup: sweepsPerGroup)
        let reflectors = chased(bandwidth: bandwidth)
        let first = PanelReflectors(
            size: n, bandwidth: bandwidth, vectors: empty, triangularFactors: empty,
            bytesPerRound: reflectorBytesPerRound)
        return copy + BandMatrix<Double>.scratchBytes(size: n, bandwidth: bandwidth) + reduction + chase
            + panels(for: reflectors) + max(reflectors.scratchBytes, first.scratchBytes)
    }

    /// The reflectors of a one-stage reduction are those of a chase whose every sweep has one step.
    private static func oneStageBandwidth(_ n: Int) -> Int { (n + 6) / 8 * 8 }

    /// Rows start at cache lines, and not a large power of two apart, where they would compete for the same sets.
    static func paddedRowStride<Element>(_ n: Int, _: Element.Type = Double.self) -> Int {
        let line = 64 / MemoryLayout<Element>.stride
        let aligned = (n + line - 1) / line * line
        return aligned % (32 * line) == 0 ? aligned + line : aligned
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
        MatrixView<Double>.forEachRow(of: n) { i in
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
    /// - Throws: `nonFinite` with the first position of the triangle that is.
    fileprivate func lowerExponent() throws(LinearAlgebraError) -> Int? {
        // Without their sign, bit patterns are ordered like the numbers, with infinity and NaN above all others.
        let largestOfRow = AlignedBuffer<UInt64>(uninitializedCount: rows)
        Self.forEachRow(of: rows) { i in
            let row = base + i * rowStride
            var largest: UInt64 = 0
            for j in 0...i { largest = max(largest, row[j].magnitude.bitPattern) }
            largestOfRow.base[i] = largest
        }
        var largest: UInt64 = 0
        for i in 0..<rows {
            largest = max(largest, largestOfRow.base[i])
            if largest >= Double.infinity.bitPattern, let j = (0...i).first(where: { !self[i, $0].isFinite }) {
                throw .nonFinite(row: i, column: j)
            }
        }
        return largest > 0 ? Int(Double(bitPattern: largest).exponent) : nil
    }

    /// All rows of a triangle on all threads, the long ones first.
    fileprivate static func forEachRow(of rows: Int, _ body: @Sendable (Int) -> Void) {
        let strip = 64
        let strips = (rows + strip - 1) / strip
        parallelFor(strips) { piece in
            let first = (strips - 1 - piece) * strip
            for i in first..<min(first + strip, rows) { body(i) }
        }
    }
}
