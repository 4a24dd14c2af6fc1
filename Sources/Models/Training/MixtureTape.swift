import Kernels
import MatrixCore

/// A block of experts on its way forward, with what its way back needs.
///
/// Which experts a token uses is taken as given; how much of each is not: gradients reach the router's input through
/// the shares. The router itself is not trained.
struct MixtureTape {
    private let mixture: MixtureOfExperts
    private let input: Matrix
    /// Softmax of the router's scores (tokens × experts).
    private let shares: Matrix
    private let uses: [Use]
    /// (tokens × hidden)
    let output: Matrix

    /// The tokens of an expert.
    private struct Use {
        let rows: [Int]
        /// What their outputs are multiplied with.
        let shares: [Float]
        let expert: Int
        let tape: FeedForwardTape
    }

    init(_ mixture: MixtureOfExperts, _ input: Matrix, _ weights: TrainingWeights) {
        self.mixture = mixture
        self.input = input
        var scores = weights.apply(mixture.router, input.view)
        let view = scores.mutableView()
        let softmax = Softmax()
        let choices = (0..<view.rows).map { mixture.choose(view.base + $0 * view.rowStride, softmax) }
        shares = scores
        var result = Matrix(rows: input.rows, columns: input.columns)
        let target = result.mutableView()
        var uses: [Use] = []
        for (expert, network) in mixture.experts.enumerated() {
            let users = choices.enumerated().compactMap { row, chosen in
                chosen.first { $0.expert == expert }.map { (row: row, share: $0.share) }
            }
            if users.isEmpty { continue }
            let rows = users.map(\.row)
            let tape = FeedForwardTape(network, Self.gathered(rows, of: input.view), weights)
            uses.append(Use(rows: rows, shares: users.map(\.share), expert: expert, tape: tape))
            let source = tape.output.view
            for (place, user) in users.enumerated() {
                VectorMath.combine(
                    target.base + user.row * target.rowStride, source.base + place * source.rowStride, target.columns
                ) {
                    $0 + $1 * user.share
                }
            }
        }
        self.uses = uses
        output = result
    }

    /// ∂L/∂input (tokens × hidden).
    func pullBack(_ gradient: MatrixView<Float>, _ weights: TrainingWeights) -> Matrix {
        var result = Matrix(rows: input.rows, columns: input.columns)
        let target = result.mutableView()
        var shareGradients = Matrix(rows: shares.rows, columns: shares.columns)
        for use in uses {
            var own = Self.gathered(use.rows, of: gradient)
            let ownView = own.mutableView(), output = use.tape.output.view
            for (place, row) in use.rows.enumerated() {
                let start = ownView.base + place * ownView.rowStride
                shareGradients[row, use.expert] = VectorMath.innerProduct(
                    start, output.base + place * output.rowStride, ownView.columns)
                VectorMath.map(start, ownView.columns) { $0 * use.shares[place] }
            }
            let inputGradient = use.tape.pullBack(own.view, weights)
            for (place, row) in use.rows.enumerated() {
                VectorMath.combine(
                    target.base + row * target.rowStride, inputGradient.view.base + place * inputGradient.columns,
                    target.columns
                ) { $0 + $1 }
            }
        }
        let scores = scoreGradients(shareGradients)
        weights.pullBack(mixture.router, input: input.view, gradient: scores.view, into: target, adds: true)
        return result
    }

    /// From gradients of the chosen shares to those of the scores: through the scaling to a sum of one, where there is
    /// one, and the softmax over all experts.
    private func scoreGradients(_ gradients: Matrix) -> Matrix {
        var chosen = [[Int]](repeating: [], count: shares.rows)
        for use in uses {
            for row in use.rows { chosen[row].append(use.expert) }
        }
        var result = Matrix(rows: shares.rows, columns: shares.columns)
        for row in 0..<shares.rows {
            var slopes = [Float](repeating: 0, count: shares.columns)
            let sum = mixture.routing.isNormalised ? chosen[row].reduce(0) { $0 + shares[row, $1] } : 1
            let mean =
                mixture.routing.isNormalised
                ? chosen[row].reduce(0) { $0 + gradients[row, $1] * shares[row, $1] / sum } : 0
            for expert in chosen[row] { slopes[expert] = (gradients[row, expert] - mean) / sum }
            let along = chosen[row].reduce(0) { $0 + slopes[$1] * shares[row, $1] }
            for expert in 0..<shares.columns { result[row, expert] = shares[row, expert] * (slopes[expert] - along) }
        }
        return result
    }

    private static func gathered(_ rows: [Int], of x: MatrixView<Float>) -> Matrix {
        var result = Matrix(uninitializedRows: rows.count, columns: x.columns)
        _ = MixtureOfExperts.gathered(rows, of: x, into: result.mutableView())
        return result
    }
}
