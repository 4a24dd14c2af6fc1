import CompressionCore
import LinearAlgebra
import MatrixCore
import Models
import Statistics

/// Fits the compressed matrices of a block one by one, in the order in which data flows: each to the dense outputs,
/// from what the network compressed so far really gives it, by the solver of its own form (`AlternatingOperator`).
/// Experts are fitted to the tokens that their router sends them in that network.
///
/// What a matrix shares with others stays; its own numbers are fitted where that can be done by themselves
/// (`RefittableOperator`). What is left, numbers in tensors that several blocks share, waits for gradient descent.
///
/// - Cost: two passes of the block over the text for every step of the block (see `Model.stages`).
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
        for stage in dense.stages(ofLayer: layer) {
            for inputs in MomentBatches.batches(of: stage.inputs.filter { !fitted($0, layers).isEmpty }) {
                let sums = try moments(inputs, try network(layers), interruption)
                for input in inputs {
                    guard let correction = try sums[input]?.correction() else { continue }
                    for module in fitted(input, layers) { changes.append(try fit(module, correction, &layers)) }
                }
            }
        }
        return changes
    }

    /// The modules of an input that have numbers to fit.
    private func fitted(_ input: LayerInput, _ layers: TrainedLayers) -> [String] {
        input.modules.filter { module in
            guard let layer = layers.layer(module) else { return false }
            if layer is any AlternatingOperator, layer.numbers.allSatisfy({ $0.scope == .module }) {
                return layer.numbers.allSatisfy { layers.tensors[$0.fullName(in: module)] != nil }
            }
            return layer is any RefittableOperator
        }
    }

    private func moments(
        _ inputs: [LayerInput], _ network: Model, _ interruption: Interruption
    ) throws -> [LayerInput: PairedMoments] {
        let sums = Dictionary(uniqueKeysWithValues: inputs.map { ($0, PairedMoments(features: $0.features)) })
        let longest = text.sequences.map(\.count).max() ?? 0
        let seen = InputCopies(inputs, tokens: longest)
        let copies = (InputCopies(inputs, tokens: longest, following: seen), seen)
        let runs = (dense.makeState(.onePass), network.makeState(.onePass))
        runs.0.observer = copies.0
        runs.1.observer = copies.1
        try states.forEachPair(interruption) { dense, compressed in
            var (dense, compressed) = (dense, compressed)
            copies.0.restart(tokens: dense.rows)
            copies.1.restart(tokens: dense.rows)
            network.observe(layer: layer, of: compressed.mutableView(), runs.1)
            self.dense.observe(layer: layer, of: dense.mutableView(), runs.0)
            for (input, sum) in sums {
                sum.add(copies.0.tokens(of: input), copies.1.tokens(of: input))
                if let residual = copies.0.residual(of: input), let seen = copies.1.residual(of: input) {
                    sum.addResiduals(residual, seen, at: copies.0.tokens(of: input), copies.1.tokens(of: input))
                }
            }
        }
        return sums
    }

    /// Takes the fit where it is better.
    private func fit(
        _ module: String, _ correction: SequentialCorrection, _ layers: inout TrainedLayers
    ) throws -> Change {
        guard let layer = layers.layer(module) else { preconditionFailure("only such layers are fitted") }
        let weight = try weight(module)
        let before = correction.relativeError(of: layer.reconstruct(), for: weight)
        guard let numbers = numbers(of: layer, towards: correction.target(for: weight), correction.metric) else {
            return Change(module: module, before: before, after: before)
        }
        let start = layers
        var tensors = layers.tensors
        for (tensor, values) in zip(layer.numbers, numbers) {
            let name = tensor.fullName(in: module)
            if tensors[name] != nil { tensors[name] = values }
        }
        try layers.set(tensors)
        let after = layers.layer(module).map { correction.relativeError(of: $0.reconstruct(), for: weight) } ?? before
        if after < before { return Change(module: module, before: before, after: after) }
        layers = start
        return Change(module: module, before: before, after: before)
    }

    /// nil where there is no solution: factors of lower rank than they could have, which stay.
    private func numbers(
        of layer: any TrainableOperator, towards target: Matrix64, _ metric: GramMetric
    ) -> [Matrix]? {
        if layer.numbers.contains(where: { $0.scope != .module }) {
            let objective = Objective(target: MatrixOperand(target), inputs: .gram(metric))
            guard let fitted = try? (layer as? any RefittableOperator)?.refitted(to: objective) else { return nil }
            let numbers = fitted.numbers.compactMap(\.tensor.floats)
            return numbers.count == layer.numbers.count ? numbers : nil
        }
        return try? (layer as? any AlternatingOperator)?.alternated(towards: target, metric, sweeps: Self.sweeps)
    }
}
