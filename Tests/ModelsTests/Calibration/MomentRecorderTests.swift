import MatrixCore
import Models
import Statistics
import Testing

/// Copies every input of every linear layer.
private final class InputCopies: ForwardObserver {
    private(set) var inputs: [String: [Matrix]] = [:]

    func willApply(_ module: String, to input: MatrixView<Float>) {
        inputs[module, default: []].append(Matrix(input))
    }
}

/// What layers read, against copies of it taken in a plain forward pass.
struct MomentRecorderTests {
    private static let sequences: [[Int32]] = [[1, 5, 9, 2, 17, 4, 29], [3], [8, 8, 21, 0, 11, 12, 13, 14, 15]]

    private static func models() throws -> [(name: String, model: Model)] {
        let mixture = try TinyMixture().model()
        return try Fixture.all.map { ($0.name, try $0.model()) } + [("mixture", mixture)]
    }

    private static func copies(_ model: Model) throws -> [String: [Matrix]] {
        let observer = InputCopies(), state = model.makeState(.onePass)
        state.observer = observer
        for sequence in sequences {
            state.restart()
            let hidden = try model.hiddenStates(of: sequence, state)
            _ = try model.logits(of: hidden, state)
        }
        return observer.inputs
    }

    private static func moments(_ model: Model) throws -> [LayerInput: InputMoments] {
        let sums = Dictionary(uniqueKeysWithValues: model.inputs.map { ($0, InputMoments(features: $0.features)) })
        let state = model.makeState(.onePass)
        state.observer = MomentRecorder(sums)
        for sequence in sequences {
            state.restart()
            _ = try model.logits(of: model.hiddenStates(of: sequence, state), state)
        }
        return sums
    }

    @Test func layersThatShareAnInputReadTheSameNumbersAndOthersDoNot() throws {
        for (name, model) in try Self.models() {
            let copies = try Self.copies(model)
            #expect(Set(model.inputs.flatMap(\.modules)).isSuperset(of: copies.keys.filter { $0 != "lm_head" }))
            for input in model.inputs {
                let first = copies[input.name] ?? []
                for module in input.modules { #expect(copies[module] ?? [] == first, "\(name) \(module)") }
                #expect(first.allSatisfy { $0.columns == input.features })
            }
            let distinct = model.inputs.compactMap { copies[$0.name] }
            for (index, left) in distinct.enumerated() {
                for right in distinct[..<index] where !left.isEmpty { #expect(left != right, "\(name)") }
            }
        }
    }

    @Test func momentsAreThoseOfTheCopies() throws {
        for (_, model) in try Self.models() {
            let copies = try Self.copies(model), sums = try Self.moments(model)
            for input in model.inputs {
                let rows = (copies[input.name] ?? []).flatMap { copy in (0..<copy.rows).map { (copy, $0) } }
                let found = try #require(sums[input]), moment = found.moment
                #expect(found.tokens == rows.count)
                for i in 0..<input.features {
                    for j in 0..<input.features {
                        var sum = 0.0, size = 0.0
                        for (copy, row) in rows {
                            let product = Double(copy[row, i]) * Double(copy[row, j])
                            sum += product
                            size += abs(product)
                        }
                        #expect(abs(moment[i, j] - sum) <= 1e-13 * size)
                    }
                }
            }
        }
    }

    @Test func everyTokenIsCountedByEachOfItsExperts() throws {
        let folder = try TinyMixture(), model = try folder.model()
        let sums = try Self.moments(model)
        let read = Self.sequences.reduce(0) { $0 + $1.count }
        for layer in 0..<TinyMixture.layers {
            let block = "model.layers.\(layer).block_sparse_moe"
            func tokens(_ module: String) -> Int { sums.first { $0.key.name == module }?.value.tokens ?? -1 }
            #expect(tokens("\(block).gate") == read)
            let gates = (0..<TinyMixture.experts).map { tokens("\(block).experts.\($0).w1") }
            #expect(gates.reduce(0, +) == read * TinyMixture.active)
            #expect((0..<TinyMixture.experts).map { tokens("\(block).experts.\($0).w2") } == gates)
            #expect(sums.keys.contains { $0.modules == ["\(block).experts.0.w1", "\(block).experts.0.w3"] })
        }
    }

    @Test func goingLayerByLayerGivesTheHiddenStatesOfOnePass() throws {
        for (_, model) in try Self.models() {
            let tokens = Self.sequences[2], state = model.makeState(.onePass)
            let whole = Matrix(try model.hiddenStates(of: tokens, state))
            let layered = model.makeState(.onePass)
            var hidden = Matrix(try model.embeddings(of: tokens, layered).readable)
            for layer in 0..<model.description.layers {
                try model.apply(layer: layer, to: hidden.mutableView(), layered)
            }
            model.applyFinalNorm(to: hidden.mutableView())
            #expect(hidden == whole)
        }
    }
}
