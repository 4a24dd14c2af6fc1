import Foundation
import Kernels
import MatrixCore
import Testing

@testable import Models

/// The forward pass against losses that transformers gave, and against itself in another order.
struct ForwardTests {
    @Test(arguments: Fixture.all, ["windows", "documents"])
    func lossIsThatOfTransformers(fixture: Fixture, protocolName: String) throws {
        let golden = try fixture.golden(), expected = try #require(golden[protocolName])
        let separator = try #require(golden["separator"]?.string)
        let options = TokenSequences.Options(
            context: try #require(golden["context"]?.int),
            division: protocolName == "windows" ? .windows : .documents(separator: separator))
        let sequences = try TokenSequences(text: try fixture.text(), try fixture.tokenizer(), options)
        let model = try fixture.model(), state = model.makeState(.onePass)
        var perplexity = Perplexity()
        for sequence in sequences.sequences {
            let losses = try model.losses(of: sequence, state)
            perplexity.append(loss: losses.reduce(0, +), tokens: losses.count)
        }
        #expect(perplexity.tokens == expected["tokens"]?.int)
        #expect(perplexity.sequences.count == expected["windows"]?.int)
        #expect(abs(perplexity.loss - (expected["loss"]?.double ?? 0)) < 2e-6)
        #expect(abs(perplexity.standardError - (expected["standard_error"]?.double ?? 0)) < 1e-6)
    }

    /// One token at a time, and in parts of odd lengths, with keys and values kept.
    @Test(arguments: Fixture.all, [[1], [7, 1, 1, 30], [64, 3]])
    func cachedDecodingGivesTheLogitsOfTheFullPass(fixture: Fixture, parts: [Int]) throws {
        let model = try fixture.model(), ids = try fixture.ids(80)
        let whole = try logits(model, [ids])
        var pieces: [[Int32]] = []
        var rest = ids[...]
        while !rest.isEmpty {
            pieces.append(Array(rest.prefix(parts[pieces.count % parts.count])))
            rest = rest.dropFirst(pieces[pieces.count - 1].count)
        }
        let stepwise = try logits(model, pieces)
        #expect(largestDifference(whole, stepwise) <= 1e-5 * largest(whole))
    }

    @Test(arguments: Fixture.all)
    func anyNumberOfThreadsGivesTheSameLogits(fixture: Fixture) throws {
        let model = try fixture.model(), ids = try fixture.ids(150)
        let before = Threads.count
        defer { Threads.count = before }
        Threads.count = 1
        let one = try logits(model, [ids])
        for threads in [2, 3, 5] {
            Threads.count = threads
            #expect(try logits(model, [ids]) == one)
        }
    }

    @Test func aStateCanReadAnotherSequence() throws {
        let model = try Fixture.all[0].model(), ids = try Fixture.all[0].ids(40)
        let fresh = try logits(model, [ids])
        let state = model.makeState(.wholeSequence)
        _ = try model.hiddenStates(of: Array(ids.reversed()), state)
        state.restart()
        #expect(Matrix(try model.logits(of: try model.hiddenStates(of: ids, state), state)) == fresh)
    }

    @Test(arguments: [(Int32(-1), -1), (768, 768)])
    func aTokenOutsideOfTheVocabularyIsRefused(token: Int32, named: Int) throws {
        let model = try Fixture.all[0].model()
        #expect(throws: ModelError.tokenOutOfRange(token: named, position: 2, vocabulary: 768)) {
            try model.hiddenStates(of: [1, 2, token], model.makeState(.onePass))
        }
    }

    @Test func moreTokensThanPositionsAreRefused() throws {
        let model = try Fixture.all[1].model()
        #expect(throws: ModelError.tooLong(tokens: 257, limit: 256)) {
            try model.hiddenStates(of: Array(repeating: 5, count: 257), model.makeState(.onePass))
        }
    }

    /// Logits of all tokens (tokens × vocabulary), given in the parts.
    private func logits(_ model: Model, _ parts: [[Int32]]) throws -> Matrix {
        let state = model.makeState(.wholeSequence)
        var elements: [Float] = []
        for part in parts {
            elements += Matrix(try model.logits(of: try model.hiddenStates(of: part, state), state)).elements
        }
        return Matrix(
            rows: elements.count / model.vocabularySize, columns: model.vocabularySize, elements: elements)
    }
}

func largest(_ a: Matrix) -> Float { a.elements.map(abs).max() ?? 0 }

func largestDifference(_ a: Matrix, _ b: Matrix) -> Float {
    zip(a.elements, b.elements).map { abs($0 - $1) }.max() ?? 0
}
