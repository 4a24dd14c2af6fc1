import Checkpoints
import CompressionCore
import Foundation
import MatrixCore
import Testing

@testable import Models

/// Drift of hidden states and entropies against plain loops over all states and logits, written down one by one.
struct HiddenStateDriftTests {
    @Test(arguments: Fixture.all)
    func driftIsThatOfTheStatesWrittenDown(fixture: Fixture) throws {
        let reference = try fixture.model(), model = try disturbed(fixture)
        let sequences = [try fixture.ids(40), Array(try fixture.ids(90).suffix(33))]
        var drift = HiddenStateDrift(layers: model.description.layers)
        for ids in sequences {
            let samples = [model, reference].map { HiddenStateSample($0.description) }
            for (sample, model) in zip(samples, [model, reference]) {
                sample.begin(tokens: ids.count)
                let state = model.makeState(.onePass)
                state.observer = sample
                _ = try model.hiddenStates(of: ids, state)
            }
            drift.append(samples[0], reference: samples[1])
        }
        let own = try sequences.map { try states(model, $0) }, other = try sequences.map { try states(reference, $0) }
        #expect(drift.positions == 73)
        for (layer, found) in drift.layers.enumerated() {
            let expected = naive(own, other, layer)
            #expect(abs(found.cosine - expected.cosine) < 1e-6)
            #expect(abs(found.relativeError - expected.relativeError) < 1e-6)
            #expect(abs(found.geometryDrift - expected.geometryDrift) < 1e-6)
            #expect(found.relativeError > 1e-3 && found.geometryDrift > 1e-6, "the models differ")
        }
        let mean = drift.layers.reduce(0) { $0 + $1.geometryDrift } / Double(drift.layers.count)
        #expect(abs(drift.geometryDrift - mean) < 1e-12)
    }

    @Test func aLongSequenceIsSampledAtEvenDistances() throws {
        let model = try Fixture.all[0].model()
        let sample = HiddenStateSample(model.description)
        sample.begin(tokens: 7)
        #expect(sample.states.positions == Array(0..<7))
        sample.begin(tokens: 10_000_000)
        let step = sample.states.positions[1]
        let positions = sample.states.positions
        #expect(
            positions.count * model.description.layers * model.description.hidden * 4 <= HiddenStateSample.memoryBytes)
        #expect(step > 1 && zip(positions, positions.dropFirst()).allSatisfy { (step...step + 1).contains($1 - $0) })
    }

    @Test(arguments: Fixture.all)
    func entropiesAndDivergenceAreThoseOfTheLogits(fixture: Fixture) throws {
        let reference = try fixture.model(), model = try disturbed(fixture), ids = try fixture.ids(30)
        let logits = try [model, reference].map { model in
            let state = model.makeState(.onePass)
            return Matrix(try model.logits(of: try model.hiddenStates(of: ids, state), state))
        }
        var comparison = ReferenceComparison()
        comparison.append(logits[0].view, reference: logits[1].view)
        var expected = (divergence: 0.0, entropy: 0.0, reference: 0.0)
        for row in ids.indices {
            let q = distribution(logits[0], row), p = distribution(logits[1], row)
            for (p, q) in zip(p, q) {
                expected.divergence += p * log(p / q) / Double(ids.count)
                expected.entropy -= q * log(q) / Double(ids.count)
                expected.reference -= p * log(p) / Double(ids.count)
            }
        }
        #expect(abs(comparison.meanDivergence - expected.divergence) < 1e-6)
        #expect(abs(comparison.outputEntropy - expected.entropy) < 1e-6)
        #expect(abs(comparison.referenceEntropy - expected.reference) < 1e-6)
        #expect(comparison.outputEntropy != comparison.referenceEntropy)
    }

    // MARK: Plain loops

    /// The fixture with one projection of its first layer scaled.
    private func disturbed(_ fixture: Fixture) throws -> Model {
        let checkpoint = try Checkpoint(path: fixture.folder)
        let module = try #require(checkpoint.linearModules.first { $0.selectedByDefault })
        let weight = DenseOperator(weight: try checkpoint.operand(of: module)).reconstruct()
        let scaled = Matrix(rows: weight.rows, columns: weight.columns, elements: weight.elements.map { $0 * 0.5 })
        return try Model(
            checkpoint, library: OperatorLibrary([DenseOperator.self]),
            replacing: [module.name: DenseOperator(weight: MatrixOperand(scaled))])
    }

    /// Keeps every state.
    private final class Notebook: ForwardObserver {
        /// By layer, then position.
        var states: [[[Double]]] = []

        func didFinish(layer: Int, hidden: MatrixView<Float>) {
            states.append((0..<hidden.rows).map { row in (0..<hidden.columns).map { Double(hidden[row, $0]) } })
        }
    }

    private func states(_ model: Model, _ ids: [Int32]) throws -> [[[Double]]] {
        let notebook = Notebook(), state = model.makeState(.onePass)
        state.observer = notebook
        _ = try model.hiddenStates(of: ids, state)
        return notebook.states
    }

    /// - Parameter states: by sequence, layer, position.
    private func naive(
        _ states: [[[[Double]]]], _ reference: [[[[Double]]]], _ layer: Int
    ) -> HiddenStateDrift.Layer {
        var cosines: [Double] = [], errors: [Double] = []
        for (own, other) in zip(states, reference) {
            for (x, y) in zip(own[layer], other[layer]) {
                cosines.append(cosine(x, y))
                errors.append(norm(zip(x, y).map { $0 - $1 }) / norm(y))
            }
        }
        let drifts = states[0].indices.filter { $0 != layer }.map { other in
            abs(meanCosine(states, layer, other) - meanCosine(reference, layer, other))
        }
        return HiddenStateDrift.Layer(cosine: mean(cosines), relativeError: mean(errors), geometryDrift: mean(drifts))
    }

    private func meanCosine(_ states: [[[[Double]]]], _ l: Int, _ other: Int) -> Double {
        mean(states.flatMap { sequence in zip(sequence[l], sequence[other]).map(cosine) })
    }

    private func cosine(_ x: [Double], _ y: [Double]) -> Double {
        zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } / (norm(x) * norm(y))
    }

    private func norm(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }

    private func mean(_ x: [Double]) -> Double { x.reduce(0, +) / Double(x.count) }

    private func distribution(_ logits: Matrix, _ row: Int) -> [Double] {
        let powers = (0..<logits.columns).map { exp(Double(logits[row, $0])) }, sum = powers.reduce(0, +)
        return powers.map { $0 / sum }
    }
}
