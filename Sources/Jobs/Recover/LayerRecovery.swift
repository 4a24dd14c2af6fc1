import CompressionCore
import LinearAlgebra
import MatrixCore
import Models
import Statistics

/// Fits the compressed matrices of a block one by one, in the order in which data flows, by alternating least squares:
/// each to the dense outputs, from what the network compressed so far really gives it.
///
/// For forms whose parts have closed forms (`AlternatingOperator`); others wait for gradient descent. Matrices of
/// experts, and those that share tensors with other matrices, wait too.
///
/// - Cost: two passes of the block over the text for every distinct input of the block.
struct LayerRecovery {
    let dense: Model
    let layer: Int
    let text: RecoveryText
    let states: RecoveryStates
    /// The network with some layers in other numbers.
    let network: (TrainedLayers) throws -> Model
    /// The weight of a module in the dense model (m × n).
    let weight: (String) throws -> MatrixOperand

    private static let sweeps = 4

    /// What became of a matrix: ‖D + W X − W' X̂‖ / ‖W X‖ over the text to learn from (see `SequentialCorrection`).
    struct Change {
        let module: String
        let before: Double
        let after: Double
    }

    func run(_ layers: inout TrainedLayers, _ interruption: Interruption) throws -> [Change] {
        var changes: [Change] = []
        for input in dense.inputs(ofLayer: layer) {
            let modules = input.modules.filter { isFitted($0, layers) }
            if modules.isEmpty { continue }
            let correction = try moments(input, try network(layers), interruption).correction()
            for module in modules { changes.append(try fit(module, correction, &layers)) }
        }
        return changes
    }

    private func isFitted(_ module: String, _ layers: TrainedLayers) -> Bool {
        guard let layer = layers.layer(module) as? any AlternatingOperator else { return false }
        return layer.numbers.allSatisfy { $0.scope == .module && layers.tensors[$0.fullName(in: module)] != nil }
    }

    private func moments(_ input: LayerInput, _ network: Model, _ interruption: Interruption) throws -> PairedMoments {
        let sums = PairedMoments(features: input.features)
        let longest = text.sequences.map(\.count).max() ?? 0
        let copies = (InputCopies([input], tokens: longest), InputCopies([input], tokens: longest))
        let runs = (dense.makeState(.onePass), network.makeState(.onePass))
        runs.0.observer = copies.0
        runs.1.observer = copies.1
        try states.forEachPair(interruption) { dense, compressed in
            var (dense, compressed) = (dense, compressed)
            copies.0.restart(tokens: dense.rows)
            copies.1.restart(tokens: dense.rows)
            self.dense.observe(layer: layer, of: dense.mutableView(), runs.0)
            network.observe(layer: layer, of: compressed.mutableView(), runs.1)
            sums.add(copies.0.tokens(of: input), copies.1.tokens(of: input))
            if let residual = copies.0.residual(of: input), let seen = copies.1.residual(of: input) {
                sums.addResiduals(residual, seen, at: copies.0.tokens(of: input), copies.1.tokens(of: input))
            }
        }
        return sums
    }

    /// Takes the fit where it is better.
    private func fit(
        _ module: String, _ correction: SequentialCorrection, _ layers: inout TrainedLayers
    ) throws -> Change {
        guard let layer = layers.layer(module) as? any AlternatingOperator else {
            preconditionFailure("only such layers are fitted")
        }
        let weight = try weight(module)
        let before = correction.relativeError(of: layer.reconstruct(), for: weight)
        let numbers: [Matrix]
        do {
            numbers = try layer.alternated(
                towards: correction.target(for: weight), correction.metric, sweeps: Self.sweeps)
        } catch {
            // Factors of lower rank than they could have: there is no closed form, and they stay.
            return Change(module: module, before: before, after: before)
        }
        let start = layers
        var tensors = layers.tensors
        for (tensor, values) in zip(layer.numbers, numbers) { tensors[tensor.fullName(in: module)] = values }
        try layers.set(tensors)
        let after = layers.layer(module).map { correction.relativeError(of: $0.reconstruct(), for: weight) } ?? before
        if after < before { return Change(module: module, before: before, after: after) }
        layers = start
        return Change(module: module, before: before, after: before)
    }
}
