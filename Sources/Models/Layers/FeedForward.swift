import CompressionCore
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
            let inner = middle(rows.count, state) { _, layer, result in layer.apply(x.rows(rows), into: result, state) }
            if state.isDone { return }
            exit.apply(inner, into: y.rows(rows), state)
        }
    }

    /// The layers that read x, in the order of the bonds.
    var entranceLayers: [Linear] {
        switch entrance {
        case .gated(let gate, let up): [gate, up]
        case .gatedTogether(let layer), .plain(let layer): [layer]
        }
    }

    /// y ← mlp(x) from what the shared first steps of the entrance layers have made of x.
    func apply(bonds: [MatrixView<Float>], into y: MutableMatrixView<Float>, _ state: SequenceState) {
        for first in stride(from: 0, to: y.rows, by: Self.rowsAtOnce) {
            let rows = first..<min(first + Self.rowsAtOnce, y.rows)
            let inner = middle(rows.count, state) { index, layer, result in
                guard let shared = layer.weight as? any SharedInputOperator else {
                    preconditionFailure("\(layer.name) has no first step to share")
                }
                layer.apply(bond: bonds[index].rows(rows), of: shared, into: result)
            }
            exit.apply(inner, into: y.rows(rows), state)
        }
    }

    /// - Parameter product: writes what an entrance layer, also given by its number, makes of the rows.
    private func middle(
        _ rows: Int, _ state: SequenceState, _ product: (Int, Linear, MutableMatrixView<Float>) -> Void
    ) -> MatrixView<Float> {
        func wide(_ slot: Workspace.Slot, _ layer: Linear) -> MutableMatrixView<Float> {
            let result = state.workspace.matrix(slot, rows: rows, columns: layer.outFeatures)
            product(slot == .up ? 1 : 0, layer, result)
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
