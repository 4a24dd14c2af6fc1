import Kernels
import MatrixCore

/// Singular value decomposition at any condition, by Gram matrices of what is left.
///
/// For B (m × n), m ≥ n: a one-sided Jacobi method whose rotations are whole eigenvector matrices. Each round forms
/// the Gram matrix of the columns that are left, rotates them by its eigenvectors, takes those at least an eighth as
/// long as the longest as σ·u, and removes their directions from the rest. No column is ever judged beside one more
/// than eight times as long, so the squared condition of a Gram matrix does no harm: what a round neglects are cosines
/// of ε·σ_top²/σ_i ≤ 8·ε·σ_top, the backward error of LAPACK's gesdd. A round multiplies the length of what is left by
/// less than an eighth, so 18 rounds reach rounding level at any spectrum; weights need two or three.
///
/// Columns without direction (rank deficiency) are completed to an orthonormal basis from random ones.
///
/// - Cost: a round on r columns is 1·m·r² (Gram), the eigenvectors of order r, and m·r² + n·r² for the rotations; only
///   the columns left take part.
/// - Source: one-sided Jacobi after Hestenes, J. SIAM 6 (1958); for block rotations see Bečka, Okša, Vajteršic,
///   Parallel Computing 28 (2002). Choosing blocks by length is ours.
struct GramPeeling {
    /// A column is taken if it is at least this share of the longest one.
    static let share = 0.125

    /// Orthonormal columns (m × r) that every left vector shall be orthogonal to.
    var leading: MatrixOperand?
    /// Columns shorter than this have no direction: they are the rounding of the matrix that b was made from. Without
    /// it, only the rounding of b itself is known.
    var noise = 0.0

    struct Result {
        var values: [Double]  // n, descending
        var rotation: Matrix64  // V (n × n), orthogonal
    }

    /// - Parameter b: (m × n) with r + n ≤ m; on return U, orthonormal columns.
    func decompose(_ b: inout Matrix64) throws(LinearAlgebraError) -> Result {
        let n = b.columns
        var values = [Double](repeating: 0, count: n)
        var rotation = Matrix64.identity(n)
        let floor = max(noise, Double.ulpOfOne / 16 * sumOfSquares(MatrixOperand(b)).squareRoot())
        let all = b.mutableView()
        var done = 0, completing = false
        while done < n {
            let rest = all.columns(done..<n)
            removeDirections(before: done, of: all)
            if !completing, columnNorms(rest.readable).reduce(0, { max($0, $1) }) <= floor {
                completing = true
                fillRandomly(rest, index: done)
                removeDirections(before: done, of: all)
            }
            var gram = Matrix64(uninitializedRows: n - done, columns: n - done)
            multiplyByTranspose(MatrixOperand(rest.readable.transposed), into: gram.mutableView())
            let vectors = try SymmetricEigen().decompose(gram, vectors: n - done).vectors
            multiplyInPlace(rest, by: vectors)
            if !completing {
                multiplyInPlace(rotation.mutableView().columns(done..<n), by: vectors)
            }
            let lengths = columnNorms(rest.readable)
            let taken = lengths.prefix { $0 > 0 && $0 >= Self.share * lengths[0] }.count
            for j in 0..<taken where !completing { values[done + j] = lengths[j] }
            normalise(rest.columns(0..<taken), lengths)
            done += taken
        }
        return Self.sorted(&b, values, rotation)
    }

    /// b[:, done...] −= Q Qᵀ b[:, done...] for the leading directions and the columns before `done`; twice is enough.
    private func removeDirections(before done: Int, of b: MutableMatrixView<Double>) {
        let rest = b.columns(done..<b.columns)
        let own = MatrixOperand(b.readable.columns(0..<done))
        for basis in [leading, own, leading, own].compactMap({ $0 }) where basis.columns > 0 {
            var shares = Matrix64(uninitializedRows: basis.columns, columns: rest.columns)
            multiply(basis.transposed, MatrixOperand(rest.readable), into: shares.mutableView())
            multiply(basis, MatrixOperand(shares), into: rest, alpha: -1, beta: 1)
        }
    }

    private func fillRandomly(_ block: MutableMatrixView<Double>, index: Int) {
        let random = CounterRandom(seed: 0x5EED, stream: UInt64(index))
        for i in 0..<block.rows {
            for j in 0..<block.columns { block[i, j] = random.normal(i * block.columns + j) }
        }
    }

    private func normalise(_ block: MutableMatrixView<Double>, _ lengths: [Double]) {
        let inverses = lengths.map { 1 / $0 }
        let strip = 64
        parallelFor((block.rows + strip - 1) / strip) { piece in
            for i in (piece * strip)..<min((piece + 1) * strip, block.rows) {
                let row = block.base + i * block.rowStride
                for j in 0..<block.columns { row[j] *= inverses[j] }
            }
        }
    }

    /// Rounds overlap a little where values are close to the border; the order is made exact at the end.
    private static func sorted(_ b: inout Matrix64, _ values: [Double], _ rotation: Matrix64) -> Result {
        let order = values.indices.sorted { (values[$1], $0) < (values[$0], $1) }
        guard order != Array(values.indices) else { return Result(values: values, rotation: rotation) }
        b = b.columns(inOrder: order)
        return Result(values: order.map { values[$0] }, rotation: rotation.columns(inOrder: order))
    }
}

extension Matrix64 {
    /// The matrix whose column j is this one's column `order[j]`.
    func columns(inOrder order: [Int]) -> Matrix64 {
        var result = Matrix64(uninitializedRows: rows, columns: order.count)
        let source = view, target = result.mutableView()
        parallelFor(rows) { i in
            for (j, from) in order.enumerated() { target[i, j] = source[i, from] }
        }
        return result
    }
}

/// Lengths of the columns, each summed in row order in Double.
func columnNorms<Element: FactorScalar>(_ a: MatrixView<Element>) -> [Double] {
    precondition(a.columnStride == 1, "rows must lie without gaps")
    let strip = 512, strips = (a.rows + strip - 1) / strip
    let squares = AlignedBuffer<Double>(count: max(strips, 1) * a.columns, repeating: 0)
    parallelFor(strips) { piece in
        let sums = squares.base + piece * a.columns
        for i in (piece * strip)..<min((piece + 1) * strip, a.rows) {
            let row = a.base + i * a.rowStride
            for j in 0..<a.columns {
                let value = Element.double(row[j])
                sums[j] += value * value
            }
        }
    }
    return (0..<a.columns).map { j in
        (0..<strips).reduce(0) { $0 + squares.base[$1 * a.columns + j] }.squareRoot()
    }
}

/// a ← a · q for a (m × n) and q (n × n), a strip of rows at a time, so that the scratch stays small.
func multiplyInPlace(_ a: MutableMatrixView<Double>, by q: Matrix64) {
    let strip = 512
    var copy = Matrix64(uninitializedRows: min(strip, a.rows), columns: a.columns)
    for start in stride(from: 0, to: a.rows, by: strip) {
        let rows = start..<min(start + strip, a.rows)
        let source = copy.mutableView().rows(0..<rows.count)
        convert(MatrixOperand(a.readable.rows(rows)), into: MutableMatrixOperand(source))
        multiply(MatrixOperand(source.readable), MatrixOperand(q), into: a.rows(rows))
    }
}
