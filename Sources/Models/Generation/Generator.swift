import MatrixCore

/// Continues a text token by token, with keys and values kept.
public struct Generator: Sendable {
    public let model: Model
    public var sampler: Sampler
    public var mostTokens: Int
    public var stopTokens: Set<Int32>

    /// Why the text ends.
    public enum Ending: String, Sendable {
        /// A stop token; it is not part of the text.
        case stop
        /// As many tokens as were asked for.
        case length
        /// The model allows no longer sequence.
        case context
        /// The receiver wants no more.
        case interrupted
    }

    public init(model: Model, sampler: Sampler, mostTokens: Int, stopTokens: Set<Int32>) {
        self.model = model
        self.sampler = sampler
        self.mostTokens = mostTokens
        self.stopTokens = stopTokens
    }

    /// Tokens of the prompt that are read at a time, so that memory does not grow with its length.
    private static let tokensAtOnce = 512

    /// - Parameters:
    ///   - prompt: at least one token.
    ///   - onPrompt: called when the prompt has been read.
    ///   - onToken: given each new token; false ends the text.
    /// - Throws: `ModelError` where the prompt is too long or has a token that is none, or logits are not finite.
    public func run(
        prompt: [Int32], onPrompt: () -> Void = {}, onToken: (Int32) throws -> Bool
    ) throws -> Ending {
        let state = model.makeState(.wholeSequence)
        var last = try read(prompt, state)
        onPrompt()
        for step in 0..<mostTokens {
            let logits = try model.logits(of: last, state)
            let token = sampler.choose(logits, step: step)
            if stopTokens.contains(token) { return .stop }
            guard try onToken(token) else { return .interrupted }
            if step + 1 == mostTokens { break }
            if let limit = model.description.positionLimit, state.position >= limit { return .context }
            last = try model.hiddenStates(of: [token], state)
        }
        return .length
    }

    /// The hidden state of the last token of the prompt (1 × hidden).
    private func read(_ prompt: [Int32], _ state: SequenceState) throws -> MatrixView<Float> {
        if let limit = model.description.positionLimit, prompt.count > limit {
            throw ModelError.tooLong(tokens: prompt.count, limit: limit)
        }
        var rest = prompt[...]
        while rest.count > Self.tokensAtOnce {
            _ = try model.hiddenStates(of: Array(rest.prefix(Self.tokensAtOnce)), state)
            rest = rest.dropFirst(Self.tokensAtOnce)
        }
        let hidden = try model.hiddenStates(of: Array(rest), state)
        return hidden.rows(hidden.rows - 1..<hidden.rows)
    }
}
