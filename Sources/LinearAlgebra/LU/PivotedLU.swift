import Kernels
import MatrixCore

/// Elimination with row exchanges: Π A = L U for a tall A (m × r), L (m × r) lower and U (r × r) unit upper triangular.
///
/// A column after another gets the largest entry that is left in it for its pivot. So the pivots of a column depend on
/// it and the columns before it alone, and those of the first columns of A are the first pivots of A, to the bit.
///
/// - Method: A is held transposed, so that a column is a contiguous row: the largest entry and the elimination are runs
///   over it. Panels of columns are factored recursively, what follows them is changed by a multiplication. Panels
///   start at multiples of their width and are filled up with zeros, which is what makes the pivots of leading columns
///   the same.
/// - Cost: mr² − r³/3 operations, nearly all of them multiplication; memory mr.
/// - Source: Toledo, "Locality of reference in LU decomposition with partial pivoting", 1997, for the recursion; Dong
///   and Martinsson, "Simpler is better: a comparative study of randomized pivoting algorithms", 2021, for choosing
///   rows by it. Departure: the scale is in L, so that C = L₂L₁⁻¹ needs no triangle but one that lies there.
public struct PivotedLU<Element: FactorScalar>: Sendable {
    /// Row of A at each place: the pivots in the order of their columns, then the others.
    public let permutation: [Int]
    /// Columns eliminated: r, or those before one that depends on the ones before it.
    public let rank: Int
    /// (r × m): Uᵀ below the diagonal, whose own is 1; Lᵀ from the diagonal on.
    private let factors: MatrixView<Element>
    /// What A was multiplied by, which L is too.
    private let scale: Element

    /// - Parameter a: (m × r), m ≥ r.
    /// - Throws: `nonFinite`, `shapeMismatch` if a is wider than tall.
    public init(_ a: MatrixView<Element>) throws(LinearAlgebraError) {
        guard a.rows >= a.columns else {
            throw .shapeMismatch(rows: a.rows, columns: a.columns, expected: "at least as tall as wide")
        }
        scale = try PowerOfTwoScale(of: a).factor()
        var elimination = Elimination(a, scale: scale)
        elimination.run()
        permutation = elimination.permutation
        rank = elimination.rank
        factors = elimination.matrix.readable.rows(0..<a.columns)
    }

    /// C = L₂L₁⁻¹ ((m − r) × r): the rows of A that are no pivots in terms of those that are, in the order of
    /// `permutation`; of full rank only.
    public func interpolation() -> DenseMatrix<Element> {
        precondition(rank == factors.rows, "dependent columns")
        var c = DenseMatrix<Element>(uninitializedRows: factors.columns - rank, columns: rank)
        let target = c.mutableView()
        Element.copy(factors.columns(rank..<factors.columns).transposed, scaledBy: 1, into: target)
        Element.solveTriangular(factors.columns(0..<rank), .upper, into: target.transposed)
        return c
    }

    /// x ← x A⁻¹ for rows x (k × r) and a square A of full rank.
    ///
    /// A thread solves some rows at a time: enough that bringing the triangles into order for products pays, an even
    /// number of equal pieces for an even number of threads.
    public func divide(_ x: MutableMatrixView<Element>) {
        precondition(rank == factors.columns, "not an invertible matrix")
        var place = [Int](repeating: 0, count: rank)
        for (position, row) in permutation.enumerated() { place[row] = position }
        let order = place
        let pieces = 2 * ((x.rows + 2047) / 2048), height = (x.rows + pieces - 1) / max(pieces, 1)
        parallelFor(pieces) { piece in
            let rows = x.rows(min(piece * height, x.rows)..<min((piece + 1) * height, x.rows))
            // x = ((x U⁻¹) L⁻¹) Π: both triangles from the left in transposed form.
            Element.solveTriangular(factors, .lower, unitDiagonal: true, into: rows.transposed)
            Element.solveTriangular(factors, .upper, into: rows.transposed)
            let source = AlignedBuffer<Element>(uninitializedCount: order.count)
            for row in 0..<rows.rows {
                let target = rows.base + row * rows.rowStride
                Element.copyScaled(target, by: scale, to: source.base, order.count)
                Element.gather(source.base, order, into: target)
            }
        }
    }
}

/// The state of an elimination; see `PivotedLU`.
private struct Elimination<Element: FactorScalar> {
    /// Aᵀ, rows filled up to whole panels (· × m); becomes the factors.
    let matrix: MutableMatrixView<Element>
    var permutation: [Int]
    var rank = 0
    /// Columns of A.
    private let count: Int
    /// Pivots at or below it are rounding noise.
    private let threshold: Double
    /// Column that every pivot was exchanged with, by place.
    private var exchanges: [Int] = []

    private static var panelWidth: Int { 128 }
    /// Columns that are eliminated one by one.
    private static var leafWidth: Int { 8 }

    init(_ a: MatrixView<Element>, scale: Element) {
        count = a.columns
        let height = (a.columns + Self.panelWidth - 1) / Self.panelWidth * Self.panelWidth
        let stride = SymmetricEigen.paddedRowStride(a.rows, Element.self)
        let buffer = AlignedBuffer<Element>(uninitializedCount: height * stride)
        matrix = MutableMatrixView(base: buffer.base, rows: height, columns: a.rows, rowStride: stride, owner: buffer)
        (buffer.base + count * stride).update(repeating: 0, count: (height - count) * stride)
        Element.copy(a.transposed, scaledBy: scale, into: matrix.rows(0..<count))
        permutation = Array(0..<a.rows)
        // The largest entry is scaled to [1, 2).
        threshold = max(
            Tolerance.rank(Element.elementType, rows: a.rows, columns: a.columns, largest: 1), Element.negligibleNorm)
    }

    mutating func run() {
        while rank < count {
            let panel = rank..<rank + Self.panelWidth
            guard factor(panel) else { break }
            exchange(rows: 0..<panel.lowerBound, after: panel.lowerBound)
            let rest = panel.upperBound..<matrix.rows
            exchange(rows: rest, after: panel.lowerBound)
            eliminate(panel, from: rest)
        }
        for (place, other) in exchanges.enumerated() { permutation.swapAt(place, other) }
    }

    /// Eliminates columns of A, as far as there are any.
    /// - Returns: false if one depends on those before it.
    private mutating func factor(_ range: Range<Int>) -> Bool {
        guard range.lowerBound < count else { return true }
        guard range.count > Self.leafWidth else { return factorLeaf(range.clamped(to: 0..<count)) }
        let middle = range.lowerBound + range.count / 2
        let left = range.lowerBound..<middle, right = middle..<range.upperBound
        guard factor(left) else { return false }
        guard middle < count else { return true }
        exchange(rows: right, after: left.lowerBound)
        eliminate(left, from: right)
        let isWhole = factor(right)
        exchange(rows: left, after: middle)
        return isWhole
    }

    private mutating func factorLeaf(_ range: Range<Int>) -> Bool {
        let width = matrix.columns
        for k in range {
            let row = matrix.base + k * matrix.rowStride
            let pivot = k + Element.indexOfLargest(row + k, width - k)
            guard Element.double(abs(row[pivot])) > threshold else { return false }
            exchanges.append(pivot)
            rank = k + 1
            for j in range {
                let other = matrix.base + j * matrix.rowStride
                (other[k], other[pivot]) = (other[pivot], other[k])
            }
            for j in (k + 1)..<max(range.upperBound, k + 1) {
                let other = matrix.base + j * matrix.rowStride
                other[k] /= row[k]
                Element.addScaled(row + k + 1, by: -other[k], to: other + k + 1, width - k - 1)
            }
        }
        return true
    }

    /// Does the exchanges from a place on in rows of the matrix.
    private func exchange(rows: Range<Int>, after place: Int) {
        let pivots = exchanges[place...], view = matrix
        let block = 16
        parallelFor((rows.count + block - 1) / block) { piece in
            let first = rows.lowerBound + piece * block
            for row in first..<min(first + block, rows.upperBound) {
                Element.exchange(in: view.base + row * view.rowStride, pivots)
            }
        }
    }

    /// Takes the columns of a range, which are factored, out of the others.
    private func eliminate(_ range: Range<Int>, from rows: Range<Int>) {
        guard !rows.isEmpty else { return }
        let tail = range.upperBound..<matrix.columns
        let multipliers = matrix.block(rows: rows, columns: range)
        Element.solveTriangular(
            matrix.readable.block(rows: range, columns: range).transposed, .lower, into: multipliers.transposed)
        Element.multiply(
            multipliers.readable, matrix.readable.block(rows: range, columns: tail),
            into: matrix.block(rows: rows, columns: tail), alpha: -1, beta: 1)
    }
}
