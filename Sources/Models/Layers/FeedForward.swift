import MatrixCore

/// The MLP of a layer or of an expert.
struct FeedForward: Sendable {
    enum Entrance: Sendable {
        /// act(gate(x)) · up(x)
        case gated(gate: Linear, up: Linear)
        /// The same with both in one matrix, gate above up.
        case gatedTogether(Linear)
        /// act(input(x))
        case plain(Linear)
    }

    let entrance: Entrance
    let exit: Linear
    let activation: Activation

    /// Tokens at a time, so that the wide middle does not grow with the sequence.
    private static let rowsAtOnce = 2048

    /// y ← mlp(x); x and y (tokens × hidden)
    func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>, _ state: SequenceState) {
        for first in stride(from: 0, to: x.rows, by: Self.rowsAtOnce) {
            let rows = first..<min(first + Self.rowsAtOnce, x.rows)
            exit.apply(middle(x.rows(rows), state), into: y.rows(rows), state)
        }
    }

    private func middle(_ x: MatrixView<Float>, _ state: SequenceState) -> MatrixView<Float> {
        func wide(_ slot: Workspace.Slot, _ layer: Linear) -> MutableMatrixView<Float> {
            let result = state.workspace.matrix(slot, rows: x.rows, columns: layer.outFeatures)
            layer.apply(x, into: result, state)
            return result
        }
        switch entrance {
        case .gated(let gateLayer, let upLayer):
            let gate = wide(.gate, gateLayer)
            activation.applyGate(gate, wide(.up, upLayer).readable)
            return gate.readable
        case .gatedTogether(let layer):
            let both = wide(.gate, layer)
            let half = both.columns / 2
            activation.applyGate(both.columns(0..<half), both.columns(half..<2 * half).readable)
            return both.columns(0..<half).readable
        case .plain(let layer):
            let inner = wide(.gate, layer)
            activation.apply(inner)
            return inner.readable
        }
    }
}
