import Kernels
import LinearAlgebra
import MatrixCore

/// The normal equations of a core where the metric is that of the inputs alone, written out.
///
/// The output modes of the neighbours are then summed over at once, P = LᵀL over outputs [(J a), (J' a')] and
/// Q = RRᵀ [(b K), (b' K')], and all rows of the core's own output mode share one matrix
///
///     H[(a j b), (a' j' b')] = Σ P[(J a), (J' a')] · G[(J j K), (J' j' K')] · Q[(b K), (b' K')]
///
/// over the input modes J before and K behind, of r · n_k · r' rows.
///
/// - Cost: r² n² + r² n_k² (n_(k+1)…n_d)² r'² multiply-adds to form it, its cube over three to factor it.
struct NormalMatrix {
    private let matrix: Matrix64
    private let inputMode: Int
    private let outputMode: Int

    /// Rows of H up to which forming it costs less than the steps of conjugate gradients that it saves.
    private static let mostRows = 128
    /// Numbers of the largest intermediate tensor.
    private static let mostNumbers = 1 << 17

    /// nil where the problem is too large, or the outputs have a metric of their own.
    init?(_ fit: TrainFit, core: Int, left: TrainBlock?, right: TrainBlock?) {
        let modes = fit.modes
        let n = modes.inFeatures
        let before = modes.inputs[..<core].reduce(1, *)
        let mode = modes.inputs[core]
        let behind = modes.inputs[(core + 1)...].reduce(1, *)
        let r = left?.right ?? 1
        let s = right?.left ?? 1
        let largest = max(
            n * n, (before * r) * (before * r), (behind * s) * (behind * s), r * r * mode * mode * behind * behind)
        guard fit.outputs.isIdentity, r * mode * s <= Self.mostRows, largest <= Self.mostNumbers else { return nil }
        inputMode = mode
        outputMode = modes.outputs[core]
        let metric = Tensor(shape: [before, mode, behind, before, mode, behind], reshaping: fit.inputs.matrix(size: n))
            .permuted([0, 3, 1, 4, 2, 5])  // [J J' j j' K K']
        let p = Self.summed(left, modes, 0..<core, rank: r, rankIsFirst: false).permuted([1, 3, 0, 2])  // [a a' J J']
        let q = Self.summed(right, modes, (core + 1)..<modes.order, rank: s, rankIsFirst: true)
            .permuted([1, 3, 0, 2])  // [K K' b b']
        var first = Matrix64(uninitializedRows: r * r, columns: mode * mode * behind * behind)
        multiply(
            MatrixOperand(p.matrix(leadingAxes: 2)), MatrixOperand(metric.matrix(leadingAxes: 2)),
            into: first.mutableView())
        let folded = first.reshaped(rows: r * r * mode * mode, columns: behind * behind)
        var whole = Matrix64(uninitializedRows: folded.rows, columns: s * s)
        multiply(MatrixOperand(folded), MatrixOperand(q.matrix(leadingAxes: 2)), into: whole.mutableView())
        let ordered = Tensor(shape: [r, r, mode, mode, s, s], reshaping: whole).permuted([0, 2, 4, 1, 3, 5])
        matrix = Matrix64(rows: r * mode * s, columns: r * mode * s, elements: ordered.elements)
    }

    /// The neighbours on one side with their output modes summed over, [x y x' y'] with (x y) = (J a) or (b K).
    private static func summed(
        _ block: TrainBlock?, _ modes: TrainModes, _ range: Range<Int>, rank: Int, rankIsFirst: Bool
    ) -> Tensor<Double> {
        guard let block, let last = modes.inputs[range].last else {
            return Tensor(shape: [1, 1, 1, 1], elements: [1])
        }
        // The bond joins the input digits, before or behind them, so that what is left as rows are the outputs.
        let order = InterleavedOrder(
            rankIsFirst
                ? TrainModes(outputs: [1] + modes.outputs[range], inputs: [rank] + modes.inputs[range])
                : TrainModes(
                    outputs: Array(modes.outputs[range]), inputs: modes.inputs[range].dropLast() + [last * rank]))
        let unfolded = order.matrix(of: block.numbers)  // (outputs × (J a) or (b K))
        var gram = Matrix64(uninitializedRows: unfolded.columns, columns: unfolded.columns)
        multiplyByTranspose(MatrixOperand(unfolded.view.transposed), into: gram.mutableView())
        let inputs = unfolded.columns / rank
        let shape = rankIsFirst ? [rank, inputs, rank, inputs] : [inputs, rank, inputs, rank]
        return Tensor(shape: shape, reshaping: gram)
    }

    /// The correction for a gradient, both [r, m_k, n_k, r'].
    func solve(_ gradient: Matrix, rank: Int) throws(LinearAlgebraError) -> Matrix {
        let shape = [rank, outputMode, inputMode, gradient.columns]
        let right = Tensor(shape: shape, reshaping: gradient).permuted([0, 2, 3, 1])  // [r, n_k, r', m_k]
        let columns = Matrix64(
            rows: matrix.rows, columns: outputMode, elements: right.elements.map { Double($0) })
        let solution = try NormalEquations(gram: matrix, right: columns).solution
        let back = Tensor(shape: [rank, inputMode, gradient.columns, outputMode], reshaping: solution).permuted([
            0, 3, 1, 2,
        ])
        return Matrix(rows: gradient.rows, columns: gradient.columns, elements: back.elements.map { Float($0) })
    }
}
