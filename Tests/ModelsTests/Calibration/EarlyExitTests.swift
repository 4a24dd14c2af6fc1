import MatrixCore
import Statistics
import Testing

@testable import Models

/// A layer that is left early shows the same as one that is run to its end.
struct EarlyExitTests {
    private static let tokens: [Int32] = [1, 5, 9, 2, 17, 4, 29]

    private static func models() throws -> [(name: String, model: Model)] {
        try Fixture.all.map { ($0.name, try $0.model()) } + [("mixture", TinyMixture().model())]
    }

    private func copies(
        of input: LayerInput, layer: Int, _ model: Model, isLeftEarly: Bool
    ) throws -> (copies: InputCopies, calls: Int) {
        let copies = InputCopies([input], tokens: 9), counter = CallCounter(copies)
        let state = model.makeState(.onePass)
        state.observer = counter
        var x = Matrix(try model.embeddings(of: Self.tokens, state).readable)
        counter.calls = 0
        copies.restart(tokens: x.rows)
        if isLeftEarly {
            model.observe(layer: layer, of: x.mutableView(), state)
        } else {
            try model.apply(layer: layer, to: x.mutableView(), state)
        }
        return (copies, counter.calls)
    }

    @Test func whatIsSeenOfALayerIsTheSame() throws {
        for (name, model) in try Self.models() {
            for layer in 0..<model.description.layers {
                for input in model.inputs(ofLayer: layer) {
                    let whole = try copies(of: input, layer: layer, model, isLeftEarly: false).copies
                    let part = try copies(of: input, layer: layer, model, isLeftEarly: true).copies
                    #expect(Matrix(whole.tokens(of: input)) == Matrix(part.tokens(of: input)), "\(name) \(input.name)")
                    #expect(
                        whole.residual(of: input).map(Matrix.init) == part.residual(of: input).map(Matrix.init),
                        "\(name) \(input.name)")
                }
            }
        }
    }

    @Test func layersBehindAreNotRun() throws {
        let model = try Fixture(name: "tiny-llama").model()
        let inputs = model.inputs(ofLayer: 1)
        let calls = try inputs.map { try copies(of: $0, layer: 1, model, isLeftEarly: true).calls }
        // Query, key and value; the output; gate and up; down.
        #expect(calls == [3, 4, 6, 7])
    }

    /// The runs that follow are whole again.
    @Test func theStateIsNotLeftEarlyAgain() throws {
        let model = try Fixture(name: "tiny-llama").model(), state = model.makeState(.onePass)
        let input = model.inputs(ofLayer: 0)[0], copies = InputCopies([input], tokens: 9)
        var first = Matrix(try model.embeddings(of: Self.tokens, state).readable), second = first
        try model.apply(layer: 0, to: first.mutableView(), state)
        state.observer = copies
        copies.restart(tokens: second.rows)
        var other = second
        model.observe(layer: 0, of: other.mutableView(), state)
        copies.restart(tokens: second.rows)
        try model.apply(layer: 0, to: second.mutableView(), state)
        #expect(first == second)
    }
}

/// Counts the layers that are run.
private final class CallCounter: ForwardObserver {
    private let observer: InputCopies
    var calls = 0

    init(_ observer: InputCopies) { self.observer = observer }

    var hasSeenAll: Bool { observer.hasSeenAll }

    func willApply(_ module: String, to input: MatrixView<Float>) {
        calls += 1
        observer.willApply(module, to: input)
    }

    func willAdd(outputsOf module: String, to residual: MatrixView<Float>) {
        observer.willAdd(outputsOf: module, to: residual)
    }
}
