import Kernels
import MatrixCore

/// A block of experts of which each token uses a few.
///
/// The router's softmax gives every expert a share; the `active` largest are used, and only they are computed: tokens
/// are gathered by expert, so that an expert is one product however many tokens chose it.
///
/// - Source: Shazeer et al., arXiv 1701.06538, in the form of Mixtral (arXiv 2401.04088) and Qwen3-MoE.
struct MixtureOfExperts: Sendable {
    let router: Linear
    let experts: [FeedForward]
    let routing: ModelDescription.ExpertRouting

    /// y ← Σ share · expert(x) over each token's experts, experts in ascending order; x and y (tokens × hidden)
    func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>, _ state: SequenceState) {
        let scores = state.workspace.matrix(.routed, rows: x.rows, columns: router.outFeatures)
        router.apply(x, into: scores, state)
        let softmax = Softmax()
        let choices = (0..<x.rows).map { choose(scores.base + $0 * scores.rowStride, softmax) }
        for row in 0..<y.rows { (y.base + row * y.rowStride).update(repeating: 0, count: y.columns) }
        for (expert, network) in experts.enumerated() {
            let users = choices.enumerated().compactMap { row, chosen in
                chosen.first { $0.expert == expert }.map { (row: row, share: $0.share) }
            }
            if users.isEmpty { continue }
            let input = state.workspace.matrix(.gathered, rows: users.count, columns: x.columns)
            for (place, user) in users.enumerated() {
                (input.base + place * input.rowStride).update(from: x.base + user.row * x.rowStride, count: x.columns)
            }
            let result = state.workspace.matrix(.expertOutput, rows: users.count, columns: y.columns)
            network.apply(input.readable, into: result, state)
            for (place, user) in users.enumerated() {
                VectorMath.combine(
                    y.base + user.row * y.rowStride, UnsafePointer(result.base + place * result.rowStride), y.columns
                ) { $0 + $1 * user.share }
            }
        }
    }

    /// The experts of a token with their shares, the largest first; equal shares go to the lower number.
    private func choose(
        _ scores: UnsafeMutablePointer<Float>, _ softmax: Softmax
    ) -> [(expert: Int, share: Float)] {
        softmax(scores, experts.count)
        var chosen: [(expert: Int, share: Float)] = []
        for _ in 0..<min(routing.active, experts.count) {
            var best: Int?
            for expert in experts.indices where !chosen.contains(where: { $0.expert == expert }) {
                if best.map({ scores[expert] > scores[$0] }) ?? true { best = expert }
            }
            if let best { chosen.append((best, scores[best])) }
        }
        guard routing.isNormalised else { return chosen }
        let sum = chosen.reduce(0) { $0 + $1.share }
        return chosen.map { ($0.expert, $0.share / sum) }
    }
}
