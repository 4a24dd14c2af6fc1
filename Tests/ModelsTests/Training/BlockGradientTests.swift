import CompressionCore
import Kernels
import MatrixCore
import Testing

@testable import Models

/// The way back through a block against finite differences of the way forward.
struct BlockGradientTests {
    /// Σ slopes ∘ output, in Double, with the slopes fixed.
    private struct Probe {
        let form: RandomBlock
        let block: Model.Block
        let batch = TokenBatch(lengths: RandomBlock.lengths)
        let slopes: Matrix
        let input: Matrix

        init(_ form: RandomBlock) {
            self.form = form
            block = form.block
            slopes = RandomBlock.matrix(batch.tokens, RandomBlock.hidden, seed: 90)
            input = RandomBlock.matrix(batch.tokens, RandomBlock.hidden, seed: 91)
        }

        func tape(_ x: Matrix, _ weights: TrainingWeights) -> BlockTape {
            BlockTape(block, form.residual, x, batch, form.rotary, weights)
        }

        func value(_ x: Matrix, _ weights: TrainingWeights) -> Double {
            let output = tape(x, weights).output
            return zip(output.elements, slopes.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }

        var layers: [Linear] {
            var layers: [Linear] =
                switch block.attention.projections {
                case .separate(let query, let key, let value): [query, key, value]
                case .fused(let layer, _): [layer]
                }
            layers.append(block.attention.output)
            // Where tokens may change experts, only the layers behind the router have a slope everywhere.
            if form.isRouted { layers = [] }
            switch block.feedForward {
            case .dense(let network): layers += network.entranceLayers + [network.exit]
            case .experts(let mixture): layers += mixture.experts.flatMap { $0.entranceLayers + [$0.exit] }
            }
            return layers
        }
    }

    /// Along the gradient itself and two random directions, with the error of the difference of fourth order.
    ///
    /// - Parameter value: the function, at a point.
    private func expectGradient(
        _ gradient: Matrix, at point: Matrix, _ place: String, _ value: (Matrix) -> Double
    ) {
        let length = norm(gradient)
        #expect(length > 0, "\(place): nothing arrives")
        let directions =
            [gradient] + [1, 2].map { RandomBlock.matrix(point.rows, point.columns, seed: 200 + UInt64($0)) }
        for (number, direction) in directions.enumerated() {
            let unit = Float(1 / norm(direction))
            func moved(by step: Float) -> Double {
                value(Matrix(rows: point.rows, columns: point.columns) {
                    point[$0, $1] + step * unit * direction[$0, $1]
                })
            }
            func slope(_ step: Float) -> Double { (moved(by: step) - moved(by: -step)) / Double(2 * step) }
            let found = (4 * slope(0.02) - slope(0.04)) / 3
            let expected =
                zip(gradient.elements, direction.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) * Double(unit) }
            #expect(abs(found - expected) <= 1e-3 * length, "\(place), direction \(number): \(found), not \(expected)")
        }
    }

    private func norm(_ a: Matrix) -> Double {
        a.elements.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }

    @Test(arguments: RandomBlock.all)
    func gradientsAreThoseOfFiniteDifferences(form: RandomBlock) throws {
        let probe = Probe(form)
        let layers = probe.layers
        let weights = TrainingWeights(training: Set(layers.map(\.name)))
        let gradient = probe.tape(probe.input, weights).pullBack(probe.slopes.view, weights)
        expectGradient(gradient, at: probe.input, "input") { probe.value($0, TrainingWeights(training: [])) }
        for layer in layers {
            let found = try #require(weights.gradient(of: layer.name))
            expectGradient(Matrix(found), at: layer.weight.reconstruct(), layer.name) { weight in
                let changed = TrainingWeights(training: [])
                changed.set(layer.name, to: DenseOperator(weight: MatrixOperand(weight)))
                return probe.value(probe.input, changed)
            }
        }
    }

    /// Two batches add up, and a cleared sum begins anew.
    @Test func gradientsOfBatchesAddUp() throws {
        let probe = Probe(RandomBlock.all[0])
        let weights = TrainingWeights(training: ["q"])
        for _ in 0..<2 { _ = probe.tape(probe.input, weights).pullBack(probe.slopes.view, weights) }
        let twice = Matrix(try #require(weights.gradient(of: "q")))
        weights.clearGradients()
        #expect(weights.gradient(of: "q") == nil)
        _ = probe.tape(probe.input, weights).pullBack(probe.slopes.view, weights)
        let once = Matrix(try #require(weights.gradient(of: "q")))
        #expect(zip(once.elements, twice.elements).allSatisfy { abs(2 * $0 - $1) <= 1e-5 * max(1, abs($1)) })
        #expect(weights.gradient(of: "k") == nil)
    }

    @Test(arguments: RandomBlock.all)
    func anyNumberOfThreadsGivesTheSameGradients(form: RandomBlock) throws {
        let probe = Probe(form)
        let name = probe.layers[0].name
        let before = Threads.count
        defer { Threads.count = before }
        var results: [[Float]] = []
        for threads in [1, 3] {
            Threads.count = threads
            let weights = TrainingWeights(training: [name])
            let gradient = probe.tape(probe.input, weights).pullBack(probe.slopes.view, weights)
            results.append(gradient.elements + Matrix(try #require(weights.gradient(of: name))).elements)
        }
        #expect(results[0] == results[1])
    }

    /// The forward pass of the training is that of the runtime.
    @Test(arguments: Fixture.all)
    func tapesGiveTheHiddenStatesOfTheRuntime(fixture: Fixture) throws {
        let model = try fixture.model(), ids = try fixture.ids(50)
        let state = model.makeState(.onePass)
        let batch = TokenBatch(lengths: [ids.count]), positions = model.positions(of: batch)
        let weights = TrainingWeights(training: [])
        var expected = Matrix(try model.embeddings(of: ids, state).readable)
        for layer in 0..<model.description.layers {
            let tape = try model.forward(layer: layer, expected, batch, positions, weights)
            try model.apply(layer: layer, to: expected.mutableView(), state)
            let scale = expected.elements.map(abs).max() ?? 0
            #expect(
                zip(tape.output.elements, expected.elements).allSatisfy { abs($0 - $1) <= 1e-5 * scale },
                "layer \(layer)")
        }
    }
}
