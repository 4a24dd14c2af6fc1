import Kernels
import MatrixCore

/// The product of tokens with a W' that is formed a part at a time.
///
/// Cut at a bond, a train is L (m₁ × n₁ r) before it and R (r × m₂ n₂) behind it. The rows of W' whose leading digit is
/// i are one product
///
///     W'[(i, i₂), (j₁, j₂)] = Σ_r L[i, j₁, r] · R[r, i₂, j₂]        (n₁ × r) · (r × m₂ n₂)
///
/// with its numbers moved. As many of these as fit into `partNumbers` are formed together, multiplied with all tokens
/// and dropped, so W' as a whole takes neither memory nor fresh pages.
///
/// - Cost: the multiply-adds of the contraction, m·n for every token, and one more pass over W'.
struct TrainParts {
    /// L as (m₁ n₁ × r).
    private let before: MatrixOperand
    /// R as (r × m₂ n₂).
    private let behind: MatrixOperand
    /// m₁ and m₂.
    private let outputs: (before: Int, behind: Int)
    /// n₁ and n₂.
    private let inputs: (before: Int, behind: Int)

    private let partNumbers: Int

    /// - Parameters:
    ///   - cores: of the train, one by one; two or more.
    ///   - partNumbers: of W' at a time, by default 16 MB: parts that are large beside the tokens are multiplied at
    ///     full speed.
    init(_ cores: [TrainBlock], modes: TrainModes, partNumbers: Int = 1 << 22) {
        self.partNumbers = partNumbers
        let chain = CoreChain(sizes: modes.sizes, ranks: [1] + cores.map(\.right))
        let cut = chain.cut(0..<modes.order)
        before = TrainSweep.gathered(chain.contract(cores, 0..<cut), modes, 0..<cut).tall
        outputs = (modes.outputs[..<cut].reduce(1, *), modes.outputs[cut...].reduce(1, *))
        inputs = (modes.inputs[..<cut].reduce(1, *), modes.inputs[cut...].reduce(1, *))
        behind = TrainSweep.gathered(chain.contract(cores, cut..<modes.order), modes, cut..<modes.order).wide
    }

    /// y ← x · W'ᵀ.
    func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        let columns = inputs.before * inputs.behind
        let parts = max(1, outputs.before * outputs.behind * columns / partNumbers)
        let digits = max(1, (outputs.before + parts - 1) / parts)
        var formed = Matrix(uninitializedRows: digits * inputs.before, columns: outputs.behind * inputs.behind)
        var part = Matrix(uninitializedRows: digits * outputs.behind, columns: columns)
        for first in stride(from: 0, to: outputs.before, by: digits) {
            let last = min(first + digits, outputs.before)
            let product = formed.mutableView().rows(0..<(last - first) * inputs.before)
            let rows = part.mutableView().rows(0..<(last - first) * outputs.behind)
            multiply(before.rows(first * inputs.before..<last * inputs.before), behind, into: product)
            place(product.readable, into: rows)
            multiply(
                MatrixOperand(x), MatrixOperand(rows.readable.transposed),
                into: y.columns(first * outputs.behind..<last * outputs.behind))
        }
    }

    /// From [i, j₁, i₂, j₂] to [i, i₂, j₁, j₂].
    private func place(_ product: MatrixView<Float>, into rows: MutableMatrixView<Float>) {
        let (height, run, count) = (outputs.behind, inputs.behind, inputs.before)
        let rowsPerPiece = max(1, Self.numbersPerPiece / rows.columns)
        parallelFor((rows.rows + rowsPerPiece - 1) / rowsPerPiece) { piece in
            for row in piece * rowsPerPiece..<min((piece + 1) * rowsPerPiece, rows.rows) {
                var target = rows.base + row * rows.rowStride
                var source = product.base + row / height * count * product.rowStride + row % height * run
                for _ in 0..<count {
                    target.update(from: source, count: run)
                    target += run
                    source += product.rowStride
                }
            }
        }
    }

    /// Enough to make up for handing out a piece.
    private static let numbersPerPiece = 1 << 16
}
