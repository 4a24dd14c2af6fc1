import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// A change of basis that acts on every mode alone and makes a metric G of n = n₁ … n_d features nearly the identity:
///
///     G ≈ scale · (C₁C₁ᵀ) ⊗ … ⊗ (C_dC_dᵀ)
///
/// A train keeps its modes and ranks under such a change, so a problem in the metric G can be solved in the new basis,
/// where G is near the identity, and the cores are changed back one by one. How near decides how fast and how well the
/// start is, never what the optimum is.
///
/// C_kC_kᵀ is the partial trace of G over the other modes, scaled to mean eigenvalue 1: exact if G is such a product,
/// and always well defined. A small ridge bounds its condition.
struct KroneckerRoot {
    /// n₁ … n_d.
    let modes: [Int]
    /// C_k (n_k × n_k), lower triangular; nil where the metric is the identity.
    let roots: [Matrix64]?
    /// tr G / n.
    let scale: Double

    /// Ridge, in units of the mean eigenvalue.
    private static let ridge = 1e-5

    init(_ metric: Metric, modes: [Int]) throws(LinearAlgebraError) {
        self.modes = modes
        let size = modes.reduce(1, *)
        let diagonal: [Double]?
        var moment: Matrix64?
        switch metric {
        case .identity: diagonal = nil
        case .diagonal(let weights): diagonal = weights.map { $0 * $0 }
        case .gram(let gram):
            diagonal = (0..<size).map { gram.moment[$0, $0] + gram.shift }
            moment = gram.moment
        }
        guard let diagonal else {
            (roots, scale) = (nil, 1)
            return
        }
        let trace = diagonal.reduce(0, +)
        guard trace > 0 else {
            (roots, scale) = (nil, 1)
            return
        }
        scale = trace / Double(size)
        var roots: [Matrix64] = []
        for mode in modes.indices {
            var trace = Self.partialTrace(diagonal, moment, modes: modes, keeping: mode)
            let view = trace.mutableView()
            let mean = (0..<view.rows).reduce(0) { $0 + view[$1, $1] } / Double(view.rows)
            for i in 0..<view.rows {
                for j in 0..<view.columns { view[i, j] = view[i, j] / mean + (i == j ? Self.ridge : 0) }
            }
            roots.append(try Cholesky(trace).l)
        }
        self.roots = roots
    }

    /// K[a, b] = Σ G[(o, a, i), (o, b, i)] over the modes before and behind.
    private static func partialTrace(
        _ diagonal: [Double], _ moment: Matrix64?, modes: [Int], keeping mode: Int
    ) -> Matrix64 {
        let size = modes[mode]
        let inner = modes[(mode + 1)...].reduce(1, *)
        let outer = modes[..<mode].reduce(1, *)
        return Matrix64(rows: size, columns: size) { a, b in
            guard a == b || moment != nil else { return 0 }
            var sum = 0.0
            for o in 0..<outer {
                let row = (o * size + a) * inner
                let column = (o * size + b) * inner
                for i in 0..<inner {
                    sum += a == b ? diagonal[row + i] : moment?[row + i, column + i] ?? 0
                }
            }
            return sum
        }
    }

    /// How a vector is changed along every mode.
    enum Change {
        /// x ← Cᵀ x: into the new basis, for what the metric measures.
        case into
        /// x ← C⁻¹ x: the metric itself, on either side.
        case metric
        /// x ← C⁻ᵀ x: back.
        case back
    }

    /// Changes the row index of a matrix (n × columns).
    func apply(_ change: Change, toRowsOf matrix: inout Matrix64) {
        guard let roots else { return }
        precondition(matrix.rows == modes.reduce(1, *), "a root of another size")
        var inner = matrix.count
        for (mode, root) in zip(modes, roots) {
            let outer = matrix.count / inner
            inner /= mode
            let base = matrix.mutableView()
            for index in 0..<outer {
                let block = MutableMatrixView(
                    base: base.base + index * mode * inner, rows: mode, columns: inner, rowStride: inner,
                    owner: base.owner)
                Self.apply(change, root, to: block)
            }
        }
    }

    /// Changes one mode of what a core carries: block (n_k × columns).
    static func apply(_ change: Change, _ root: Matrix64, to block: MutableMatrixView<Double>) {
        switch change {
        case .into:
            var result = Matrix64(uninitializedRows: block.rows, columns: block.columns)
            multiply(MatrixOperand(root.view.transposed), MatrixOperand(block.readable), into: result.mutableView())
            convert(MatrixOperand(result), into: MutableMatrixOperand(block))
        case .metric:
            solveTriangular(root.view, .lower, into: block)
        case .back:
            solveTriangular(root.view.transposed, .upper, into: block)
        }
    }
}
