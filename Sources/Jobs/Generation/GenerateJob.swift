import Checkpoints
import CommandLineKit
import CompressionCore
import Foundation
import Models
import Safetensors

/// Continues a prompt with a model, dense or compressed.
public struct GenerateJob: Sendable {
    public enum Prompt: Sendable {
        case text(String)
        /// A file of token ids; needs no tokenizer.
        case tokens(String)
    }

    public var checkpoint: String
    public var prompt: Prompt
    public var sampler: Sampler
    public var mostTokens: Int
    /// Tokens, by their exact letters, that end the text beside those the model names.
    public var stops: [String]
    /// Whether the tokens that the model names as ends are written like any other.
    public var ignoresEnds: Bool
    /// The schemas of compressed layers that can be read.
    public var library: OperatorLibrary

    public init(
        checkpoint: String, prompt: Prompt, sampler: Sampler, mostTokens: Int, stops: [String] = [],
        ignoresEnds: Bool = false, library: OperatorLibrary
    ) {
        self.checkpoint = checkpoint
        self.prompt = prompt
        self.sampler = sampler
        self.mostTokens = mostTokens
        self.stops = stops
        self.ignoresEnds = ignoresEnds
        self.library = library
    }

    /// - Parameter write: given the text as it comes, where there is a tokenizer.
    /// - Returns: all that was generated, also where `interruption` ended it.
    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never,
        write: (String) -> Void = { _ in }
    ) throws -> GenerateResult {
        let model = try EvalJob.open(checkpoint, library, progress)
        try EvalJob.requireHead(of: model, in: checkpoint)
        let tokenizer = try tokenizer(of: model, progress)
        let ids = try promptIDs(tokenizer, model)
        let generator = Generator(
            model: model, sampler: sampler, mostTokens: mostTokens, stopTokens: try stopTokens(tokenizer, model))
        var stream = tokenizer.map { StreamingDecoder($0, skipSpecialTokens: true) }
        var result = GenerateResult(promptTokens: ids.count)
        func hand(_ text: String) {
            result.text = (result.text ?? "") + text
            if !text.isEmpty { write(text) }
        }
        let watch = Stopwatch()
        var firstToken = 0.0
        result.ending = try generator.run(prompt: ids, onPrompt: { result.promptSeconds = watch.seconds }) { token in
            if result.tokens.isEmpty { firstToken = watch.seconds }
            result.tokens.append(token)
            if let text = stream?.append(token) { hand(text) }
            return !interruption.isRequested
        }
        // The first token comes of the prompt; every further one of a step of decoding.
        result.decodeSeconds = watch.seconds - firstToken
        if let text = stream?.finish() { hand(text) }
        result.peakResidentBytes = ResourceUse.peakResidentBytes
        return result
    }

    /// Ids need no tokenizer, but one that is there turns the result into text.
    private func tokenizer(of model: Model, _ progress: any ProgressReporter) throws -> Tokenizer? {
        if case .tokens = prompt { return try? Tokenizer(checkpointFolder: checkpoint) }
        return try SequenceSource.tokenizer(checkpoint, of: model, progress)
    }

    private func promptIDs(_ tokenizer: Tokenizer?, _ model: Model) throws -> [Int32] {
        var ids: [Int32] = []
        switch prompt {
        case .text(let text):
            if let tokenizer { ids = tokenizer.leadingTokens + tokenizer.encode(text, addSpecialTokens: false) }
            if ids.isEmpty, let bos = tokenizer?.bosToken { ids = [bos] }
        case .tokens(let file):
            guard case .text(let list) = try TokenFile(path: file) else {
                throw JobError.badInput("a prompt is one list of token ids", file: file)
            }
            ids = list
        }
        if ids.isEmpty { throw JobError.usage("the prompt is empty, and the model names no token to begin with") }
        return ids
    }

    private func stopTokens(_ tokenizer: Tokenizer?, _ model: Model) throws -> Set<Int32> {
        var tokens: Set<Int32> = []
        if !ignoresEnds {
            tokens.formUnion(model.description.eosTokens)
            tokens.formUnion(generationEnds())
            if let end = tokenizer?.eosToken { tokens.insert(end) }
        }
        for stop in stops {
            guard let token = tokenizer?.id(of: stop) else {
                throw JobError.usage("--stop '\(stop)': the tokenizer has no such token")
            }
            tokens.insert(token)
        }
        return tokens
    }

    /// What generation_config.json names, where there is one.
    private func generationEnds() -> [Int32] {
        guard let config = try? JSON.parse(file: checkpoint + "/generation_config.json") else { return [] }
        let value = config["eos_token_id"]
        return (value?.array ?? value.map { [$0] } ?? []).compactMap { $0.int.flatMap { Int32(exactly: $0) } }
    }
}

/// What was generated, and how fast.
public struct GenerateResult: Sendable {
    public var promptTokens: Int
    /// Without the prompt.
    public var tokens: [Int32] = []
    /// nil without a tokenizer.
    public var text: String?
    public var ending = Generator.Ending.length
    public var promptSeconds = 0.0
    /// From the first token to the last.
    public var decodeSeconds = 0.0
    public var peakResidentBytes = 0

    public var promptTokensPerSecond: Double { Double(promptTokens) / max(promptSeconds, 1e-9) }

    public var decodeTokensPerSecond: Double {
        tokens.count > 1 ? Double(tokens.count - 1) / max(decodeSeconds, 1e-9) : 0
    }

    public var json: JSON {
        [
            "text": text.map { JSON($0) } ?? .null, "tokens": JSON(tokens.map(Int.init)),
            "prompt_tokens": JSON(promptTokens), "ending": JSON(ending.rawValue),
            "prompt_tokens_per_second": JSON(promptTokensPerSecond),
            "decode_tokens_per_second": JSON(decodeTokensPerSecond), "peak_rss_bytes": JSON(peakResidentBytes),
        ]
    }

    /// One line for the log.
    public var summary: String {
        "\(tokens.count) tokens (\(ending.rawValue)); prompt \(Quantity.significant(promptTokensPerSecond, 4)), "
            + "decoding \(Quantity.significant(decodeTokensPerSecond, 4)) tokens per second; "
            + "peak memory \(ByteCount.human(peakResidentBytes))"
    }
}
