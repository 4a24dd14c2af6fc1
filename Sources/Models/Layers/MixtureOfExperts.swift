import CompressionCore
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
    /// First steps that all experts share; a token then takes them once however many experts it has.
    private let shared: [any SharedInputOperator]

    init(router: Linear, experts: [FeedForward], routing: ModelDescription.ExpertRouting) {
        self.router = router
        self.experts = experts
        self.routing = routing
        shared = routing.active > 1 ? Self.shared(by: experts) : []
    }

    /// The operators of the first expert where every expert has the same first steps as these; none otherwise.
    private static func shared(by experts: [FeedForward]) -> [any SharedInputOperator] {
        func keys(_ expert: FeedForward) -> [String?] {
            expert.entranceLayers.map { ($0.weight as? any SharedInputOperator)?.sharedInputKey }
        }
        guard let first = experts.first else { return [] }
        let wanted = keys(first)
        guard !wanted.contains(nil), experts.allSatisfy({ keys($0) == wanted }) else { return [] }
        return first.entranceLayers.compactMap { $0.weight as? any SharedInputOperator }
    }

    /// y ← Σ share · expert(x) over each token's experts, experts in ascending order; x and y (tokens × hidden)
    func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>, _ state: SequenceState) {
        let scores = state.workspace.matrix(.routed, rows: x.rows, columns: router.outFeatures)
        router.apply(x, into: scores, state)
        let softmax = Softmax()
        var choices = (0..<x.rows).map { choose(scores.base + $0 * scores.rowStride, softmax) }
        state.observer?.willRoute(router.name, &choices)
        let bonds = bonds(x, state)
        for row in 0..<y.rows { (y.base + row * y.rowStride).update(repeating: 0, count: y.columns) }
        for (expert, network) in experts.enumerated() {
            let users = choices.enumerated().compactMap { row, chosen in
                chosen.first { $0.expert == expert }.map { (row: row, share: $0.share) }
            }
            if users.isEmpty { continue }
            let rows = users.map(\.row)
            let result = state.workspace.matrix(.expertOutput, rows: users.count, columns: y.columns)
            if bonds.isEmpty {
                let input = state.workspace.matrix(.gathered, rows: users.count, columns: x.columns)
                network.apply(Self.gathered(rows, of: x, into: input), into: result, state)
            } else {
                let inputs = bonds.map { bond in
                    var input = Matrix(uninitializedRows: rows.count, columns: bond.columns)
                    return Self.gathered(rows, of: bond, into: input.mutableView())
                }
                network.apply(bonds: inputs, into: result, state)
            }
            for (place, user) in users.enumerated() {
                VectorMath.combine(
                    y.base + user.row * y.rowStride, UnsafePointer(result.base + place * result.rowStride), y.columns
                ) { $0 + $1 * user.share }
            }
        }
    }

    /// What the shared first steps make of all tokens; none where there are none, or an observer wants to see the
    /// inputs.
    private func bonds(_ x: MatrixView<Float>, _ state: SequenceState) -> [MatrixView<Float>] {
        if state.observer != nil { return [] }
        return shared.map { step in
            var bond = Matrix(uninitializedRows: x.rows, columns: step.sharedFeatures)
            step.multiplyShared(x, into: bond.mutableView())
            return bond.view
        }
    }

    static func gathered(
        _ rows: [Int], of x: MatrixView<Float>, into target: MutableMatrixView<Float>
    ) -> MatrixView<Float> {
        for (place, row) in rows.enumerated() {
            (target.base + place * target.rowStride).update(from: x.base + row * x.rowStride, count: x.columns)
        }
        return target.readable
    }

    /// The experts of a token with their shares, the largest first; equal shares go to the lower number.
    func choose(
        _ scores: UnsafeMutablePointer<Float>, _ softmax: Softmax
    ) -> [ExpertChoice] {
        softmax(scores, experts.count)
        var chosen: [ExpertChoice] = []
        for _ in 0..<min(routing.active, experts.count) {
            var best: Int?
            for expert in experts.indices where !chosen.contains(where: { $0.expert == expert }) {
                if best.map({ scores[expert] > scores[$0] }) ?? true { best = expert }
            }
            if let best { chosen.append(ExpertChoice(expert: best, share: scores[best])) }
        }
        guard routing.isNormalised else { return chosen }
        let sum = chosen.reduce(0) { $0 + $1.share }
        return chosen.map { ExpertChoice(expert: $0.expert, share: $0.share / sum) }
    }
}
