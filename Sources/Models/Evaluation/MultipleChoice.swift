import Foundation
import MatrixCore
import Safetensors

/// A question with answers to choose from.
public struct ChoiceItem: Sendable, Equatable {
    /// What stands before each choice: the same text for all, in most questions.
    public let contexts: [String]
    public let choices: [String]
    /// Index of the right one.
    public let answer: Int

    public init(context: String, choices: [String], answer: Int) {
        self.init(contexts: Array(repeating: context, count: choices.count), choices: choices, answer: answer)
    }

    /// - Parameter contexts: one for each choice.
    public init(contexts: [String], choices: [String], answer: Int) {
        precondition(contexts.count == choices.count, "one context for each choice")
        self.contexts = contexts
        self.choices = choices
        self.answer = answer
    }

    /// Reads lines of `{"context": "…", "choices": ["…", …], "answer": 1}`; empty lines are left out. The context may
    /// be a list, one text for each choice, where what follows is the same and what comes before is to be chosen.
    /// - Throws: `ChoiceError`, naming the line.
    public static func items(jsonLines text: String) throws(ChoiceError) -> [ChoiceItem] {
        var items: [ChoiceItem] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.allSatisfy(\.isWhitespace) { continue }
            guard let document = try? JSON.parse(String(line)), let choices = texts(document["choices"]),
                let answer = document["answer"]?.int, choices.indices.contains(answer), !choices.contains(""),
                let contexts = document["context"]?.string.map({ Array(repeating: $0, count: choices.count) })
                    ?? texts(document["context"]), contexts.count == choices.count
            else { throw .malformed(line: index + 1) }
            items.append(ChoiceItem(contexts: contexts, choices: choices, answer: answer))
        }
        if items.isEmpty { throw .empty }
        return items
    }

    /// nil unless it is a list of texts.
    private static func texts(_ value: JSON?) -> [String]? {
        guard let values = value?.array else { return nil }
        let texts = values.compactMap(\.string)
        return texts.count == values.count ? texts : nil
    }
}

/// Why questions cannot be scored.
public enum ChoiceError: Error, Equatable, Sendable {
    case malformed(line: Int)
    case empty
    /// A context without tokens, and no token that begins a text.
    case noBeginning
}

extension ChoiceError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformed(let line):
            "line \(line): expected {\"context\": text, \"choices\": [texts], \"answer\": index of the right one}, "
                + "the context a text or one for each choice"
        case .empty: "there are no questions"
        case .noBeginning: "a context is empty, and the tokenizer names no token that begins or ends a text"
        }
    }
}

/// How a model judges the answers of one question.
public struct ChoiceScore: Sendable {
    /// log p(answer | context) of each answer, in nats.
    public let logLikelihoods: [Double]
    /// Characters of each answer.
    public let lengths: [Int]
    public let answer: Int
    /// Entropy of the distribution over the vocabulary behind the (first) context, in nats.
    public let outputEntropy: Double

    /// Whether the right answer is the likeliest.
    public var isRight: Bool { best(logLikelihoods) == answer }

    /// Whether it is the likeliest per character.
    public var isRightByLength: Bool { best(zip(logLikelihoods, lengths).map { $0 / Double($1) }) == answer }

    /// Entropy of the distribution over the answers, in nats.
    public var predictionEntropy: Double {
        let largest = logLikelihoods.max() ?? 0
        let weights = logLikelihoods.map { exp($0 - largest) }
        let sum = weights.reduce(0, +)
        return weights.reduce(0) { $0 - ($1 > 0 ? $1 / sum * log($1 / sum) : 0) }
    }

    private func best(_ values: [Double]) -> Int {
        values.indices.reduce(0) { values[$1] > values[$0] ? $1 : $0 }
    }
}

/// Scores multiple-choice questions by the likelihood of each answer behind the context.
///
/// - Source: lm-evaluation-harness 0.4 (`loglikelihood` of `HFLM`): an answer is put behind the context with a space
///   between; spaces at the end of the context go to the answer; the answer's tokens are those of the whole beyond as
///   many as the context has alone; what is too long loses tokens at its start. No BOS is put first unless asked for.
/// - Cost: a context that answers share is read once.
public struct ChoiceScorer {
    private let model: Model
    private let tokenizer: Tokenizer
    private let begins: Bool
    private let state: SequenceState

    /// Between context and answer.
    public static let delimiter = " "

    /// - Parameter begins: whether BOS stands before every context.
    public init(model: Model, tokenizer: Tokenizer, begins: Bool) {
        self.model = model
        self.tokenizer = tokenizer
        self.begins = begins
        state = model.makeState(.wholeSequence)
    }

    public func score(_ item: ChoiceItem) throws -> ChoiceScore {
        let pairs = try zip(item.contexts, item.choices).map { try tokens($0, Self.delimiter + $1) }
        var likelihoods: [Double] = []
        var entropy = 0.0
        var shared: (context: [Int32], logits: Matrix)?
        for (index, pair) in pairs.enumerated() {
            let context = cut(pair)
            let first: Matrix
            if let shared, shared.context == context {
                first = shared.logits
            } else {
                first = try start(context)
                shared = (context, first)
            }
            if index == 0 { entropy = Self.entropy(first) }
            likelihoods.append(try continued(first, pair.answer, from: context.count))
        }
        return ChoiceScore(
            logLikelihoods: likelihoods, lengths: item.choices.map(\.unicodeScalars.count), answer: item.answer,
            outputEntropy: entropy)
    }

    // MARK: Tokens

    private func tokens(_ context: String, _ answer: String) throws -> (context: [Int32], answer: [Int32]) {
        let spaces = context.unicodeScalars.reversed().prefix { $0.properties.isWhitespace }.count
        let kept = String(context.unicodeScalars.dropLast(spaces))
        let moved = String(context.unicodeScalars.suffix(spaces)) + answer
        let start = begins ? tokenizer.bosToken.map { [$0] } ?? [] : []
        let whole = start + tokenizer.encode(kept + moved, addSpecialTokens: false)
        let contextIDs = start + tokenizer.encode(kept, addSpecialTokens: false)
        if kept.isEmpty && start.isEmpty {
            guard let beginning = tokenizer.bosToken ?? tokenizer.eosToken else { throw ChoiceError.noBeginning }
            return ([beginning], whole)
        }
        return (contextIDs, Array(whole.dropFirst(contextIDs.count)))
    }

    /// The end of the context that leaves room for the answer; at least one token.
    private func cut(_ pair: (context: [Int32], answer: [Int32])) -> [Int32] {
        let limit = model.description.positionLimit ?? .max
        return Array(pair.context.suffix(max(1, limit + 1 - pair.answer.count)))
    }

    // MARK: Likelihoods

    /// Logits behind the context (1 × vocabulary).
    private func start(_ context: [Int32]) throws -> Matrix {
        state.restart()
        let hidden = try model.hiddenStates(of: context, state)
        return Matrix(try model.logits(of: hidden.rows(hidden.rows - 1..<hidden.rows), state))
    }

    /// log p(answer), given the logits behind a context of `length` tokens, which the state has read.
    private func continued(_ first: Matrix, _ answer: [Int32], from length: Int) throws -> Double {
        var sum = -TokenLosses.compute(first.view, targets: answer.prefix(1)).reduce(0, +)
        guard answer.count > 1 else { return sum }
        state.rewind(to: length)
        let hidden = try model.hiddenStates(of: Array(answer.dropLast()), state)
        sum -= TokenLosses.compute(try model.logits(of: hidden, state), targets: answer.dropFirst()).reduce(0, +)
        return sum
    }

    /// −Σ p log p in nats.
    private static func entropy(_ logits: Matrix) -> Double {
        let normaliser = TokenLosses.logSumsOfExponentials(logits.view).first ?? 0
        return logits.elements.reduce(0) { sum, logit in
            let logProbability = Double(logit) - normaliser
            return sum - exp(logProbability) * logProbability
        }
    }
}

/// Shares of right answers, with standard errors as the harness gives them.
public struct ChoiceSummary: Sendable {
    public let scores: [ChoiceScore]

    public init(_ scores: [ChoiceScore]) { self.scores = scores }

    public var accuracy: Double { mean { $0.isRight ? 1 : 0 } }
    public var normalisedAccuracy: Double { mean { $0.isRightByLength ? 1 : 0 } }
    public var accuracyError: Double { standardError(accuracy) }
    public var normalisedAccuracyError: Double { standardError(normalisedAccuracy) }
    public var outputEntropy: Double { mean(\.outputEntropy) }
    public var predictionEntropy: Double { mean(\.predictionEntropy) }

    private func mean(_ value: (ChoiceScore) -> Double) -> Double {
        scores.isEmpty ? 0 : scores.reduce(0) { $0 + value($1) } / Double(scores.count)
    }

    /// Of a mean of zeros and ones.
    private func standardError(_ share: Double) -> Double {
        scores.count < 2 ? 0 : (share * (1 - share) / Double(scores.count - 1)).squareRoot()
    }
}
