import MatrixCore
import Testing

@testable import Models

/// Copies what layers read, what their outputs are added to, and what every block gives.
private final class StreamCopies: ForwardObserver {
    private(set) var inputs: [String: Matrix] = [:]
    private(set) var residuals: [String: Matrix] = [:]
    private(set) var hidden: [Matrix] = []

    func willApply(_ module: String, to input: MatrixView<Float>) { inputs[module] = Matrix(input) }
    func willAdd(outputsOf module: String, to residual: MatrixView<Float>) { residuals[module] = Matrix(residual) }
    func didFinish(layer: Int, hidden: MatrixView<Float>) { self.hidden.append(Matrix(hidden)) }
}

/// The residual stream as an observer sees it, put together again from the layers that write to it.
struct ResidualStreamTests {
    @Test func whatIsAddedToTheStreamGivesItsNextValue() throws {
        for fixture in Fixture.all {
            let model = try fixture.model()
            let copies = StreamCopies(), state = model.makeState(.onePass)
            state.observer = copies
            _ = try model.hiddenStates(of: [1, 5, 9, 2, 17, 4, 29], state)
            for (index, block) in model.blocks.enumerated() {
                let attended = try sum(block.attention.output, copies, model)
                guard let exit = block.feedForward.exit else { continue }
                let before = try #require(copies.residuals[exit.name], "\(fixture.name)")
                let fed = try sum(exit, copies, model)
                if case .normalisedAfter = model.description.residual {
                    expectEqual(normalised(attended, block.attentionNorm), before, fixture.name)
                    expectEqual(normalised(fed, block.feedForwardNorm), copies.hidden[index], fixture.name)
                } else {
                    expectEqual(attended, before, fixture.name)
                    expectEqual(fed, copies.hidden[index], fixture.name)
                }
            }
        }
    }

    /// What a layer's outputs are added to, and the outputs.
    private func sum(_ layer: Linear, _ copies: StreamCopies, _ model: Model) throws -> Matrix {
        let input = try #require(copies.inputs[layer.name]), residual = try #require(copies.residuals[layer.name])
        var outputs = Matrix(rows: input.rows, columns: layer.outFeatures)
        layer.apply(input.view, into: outputs.mutableView(), model.makeState(.onePass))
        return Matrix(rows: residual.rows, columns: residual.columns) { residual[$0, $1] + outputs[$0, $1] }
    }

    private func normalised(_ x: Matrix, _ norm: Normalisation) -> Matrix {
        var result = x
        norm.apply(inPlace: result.mutableView())
        return result
    }

    private func expectEqual(_ found: Matrix, _ expected: Matrix, _ name: String) {
        let worst = zip(found.elements, expected.elements).map { abs($0 - $1) }.max() ?? 0
        #expect(found.rows == expected.rows && worst < 1e-4, "\(name): \(worst)")
    }
}
