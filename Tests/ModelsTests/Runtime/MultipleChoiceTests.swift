import Foundation
import MatrixCore
import Testing

@testable import Models

/// Choices scored with a shared context against one full pass for each answer.
struct MultipleChoiceTests {
    static let items = [
        ChoiceItem(
            context: "Salu is a hungry boy who lives near the", choices: ["forest.", "cave", "red hat."], answer: 0),
        ChoiceItem(context: "He has three blue  ", choices: ["kites", "x", "apples and rings."], answer: 2),
        ChoiceItem(context: "", choices: ["The", "Salu"], answer: 1),
        ChoiceItem(
            contexts: ["Salu took the red hat because the kite", "Salu took the red hat because the hat"],
            choices: ["was blue.", "was blue."], answer: 0),
    ]

    @Test(arguments: Fixture.all, items)
    func likelihoodsAreThoseOfFullPasses(fixture: Fixture, item: ChoiceItem) throws {
        let model = try fixture.model(), tokenizer = try fixture.tokenizer()
        let score = try ChoiceScorer(model: model, tokenizer: tokenizer, begins: false).score(item)
        for (index, found) in score.logLikelihoods.enumerated() {
            let expected = try fullPass(model, tokenizer, item.contexts[index], item.choices[index])
            #expect(abs(found - expected) < 1e-3)
        }
        #expect(score.lengths == item.choices.map(\.count))
        #expect(score.outputEntropy > 0 && score.outputEntropy < log(Double(model.vocabularySize)))
    }

    @Test func aContextForEachChoiceIsRead() throws {
        let text = #"{"context":["a b","a c"],"choices":["d","d"],"answer":1}"#
        #expect(
            try ChoiceItem.items(jsonLines: text)
                == [ChoiceItem(contexts: ["a b", "a c"], choices: ["d", "d"], answer: 1)])
    }

    private func fullPass(
        _ model: Model, _ tokenizer: Tokenizer, _ context: String, _ choice: String
    ) throws -> Double {
        func ids(_ text: String) -> [Int32] { tokenizer.encode(text, addSpecialTokens: false) }
        let trimmed = String(context.reversed().drop { $0 == " " }.reversed())
        let whole = ids(context + " " + choice)
        let beginning = context.isEmpty ? [try #require(tokenizer.bosToken)] : ids(trimmed)
        let answer = context.isEmpty ? whole : Array(whole.dropFirst(beginning.count))
        let losses = try model.losses(of: beginning + answer, model.makeState(.onePass))
        return -losses.suffix(answer.count).reduce(0, +)
    }

    @Test func sharesAndErrorsFollowTheirFormulas() {
        func score(_ values: [Double], _ lengths: [Int]) -> ChoiceScore {
            ChoiceScore(logLikelihoods: values, lengths: lengths, answer: 0, outputEntropy: 2)
        }
        let summary = ChoiceSummary([
            score([-1, -2], [1, 9]), score([-1, -2], [5, 5]), score([-3, -2], [9, 1]), score([-2, -2], [4, 4]),
        ])
        #expect(summary.accuracy == 0.75)
        #expect(summary.normalisedAccuracy == 0.75)
        #expect(abs(summary.accuracyError - (0.75 * 0.25 / 3).squareRoot()) < 1e-15)
        #expect(abs(summary.scores[3].predictionEntropy - log(2)) < 1e-12)
        #expect(summary.outputEntropy == 2)
    }

    @Test(arguments: [
        (#"{"context":"a","choices":["b"],"answer":1}"#, 1), ("\n{", 2),
        (#"{"context":"a","choices":[],"answer":0}"#, 1), (#"{"context":["a"],"choices":["b","c"],"answer":0}"#, 1),
        (#"{"context":"a","choices":["b",""],"answer":0}"#, 1), (#"{"context":1,"choices":["b"],"answer":0}"#, 1),
    ])
    func malformedLinesAreNamed(text: String, line: Int) {
        #expect(throws: ChoiceError.malformed(line: line)) { try ChoiceItem.items(jsonLines: text) }
    }
}
