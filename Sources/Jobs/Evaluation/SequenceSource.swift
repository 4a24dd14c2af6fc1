import CommandLineKit
import Models
import Safetensors

/// Where the token sequences of a job come from: text files and a tokenizer, or ids from a file.
public struct SequenceSource: Sendable {
    public enum Input: Sendable {
        /// Files of UTF-8 text, read verbatim, one after the other.
        case text([String])
        /// A file of token ids.
        case tokens(String)
    }

    public var input: Input
    /// Tokens of a window, and the most of a document; nil for what the model allows, at most 2048.
    public var context: Int?
    public var division: TokenSequences.Division
    public var bos: TokenSequences.BOSPolicy
    public var samples: Int?

    public init(
        _ input: Input, context: Int? = nil, division: TokenSequences.Division = .windows,
        bos: TokenSequences.BOSPolicy = .auto, samples: Int? = nil
    ) {
        self.input = input
        self.context = context
        self.division = division
        self.bos = bos
        self.samples = samples
    }

    /// The files that are read, without the tokenizer.
    var files: [String] {
        switch input {
        case .text(let paths): paths
        case .tokens(let path): [path]
        }
    }

    /// What decides the sequences beside the files, by name, for journals and reports.
    var options: [(name: String, value: String)] {
        let separator: String =
            switch division {
            case .windows: "none"
            case .documents(let separator): separator
            }
        return [
            ("context", context.map(String.init) ?? "auto"), ("documents", separator), ("bos", bos.rawValue),
            ("samples", samples.map(String.init) ?? "all"),
        ]
    }

    /// Papers use 2048 tokens wherever the model allows it.
    private static let usualContext = 2048

    /// The context in force for a model.
    /// - Throws: `JobError.usage` where more is asked for than the model allows.
    public func context(for model: ModelDescription) throws -> Int {
        let limit = model.positionLimit ?? Int.max
        guard let context else { return min(limit, Self.usualContext) }
        guard context <= limit else {
            throw JobError.usage("--context \(context): the model allows \(limit) tokens")
        }
        return context
    }

    /// Reads and cuts.
    /// - Parameters:
    ///   - folder: the checkpoint, whose tokenizer is used.
    ///   - twin: another folder of the same model, whose tokenizer should be the same.
    ///   - progress: told where the tokenizer is probably another model's.
    public func sequences(
        folder: String, model: Model, twin: String? = nil, _ progress: any ProgressReporter = SilentProgress()
    ) throws -> TokenSequences {
        let description = model.description
        var options = TokenSequences.Options(
            context: try context(for: description), division: division, bos: bos, samples: samples)
        options.isSurrounded = !description.isCausal
        switch input {
        case .text(let files):
            let text = try files.map(Self.text).joined()
            return try TokenSequences(text: text, try Self.tokenizer(folder, of: model, twin: twin, progress), options)
        case .tokens(let file):
            return try TokenSequences(ids: try TokenFile(path: file), bos: description.bosToken, options)
        }
    }

    /// A file as text.
    /// - Throws: `JobError.badInput` where it is not UTF-8, `FileError` where it cannot be read.
    static func text(_ path: String) throws -> String {
        let bytes = try OpenFile.contents(of: path)
        let contents = UnsafeBufferPointer(start: bytes.base, count: bytes.count)
        guard let text = String(validating: contents, as: UTF8.self) else {
            throw JobError.badInput("the text is not UTF-8", file: path)
        }
        if text.isEmpty { throw JobError.badInput("the text is empty", file: path) }
        return text
    }

    /// The tokenizer of a checkpoint, with a warning where it is probably another model's.
    static func tokenizer(
        _ folder: String, of model: Model, twin: String? = nil, _ progress: any ProgressReporter
    ) throws -> Tokenizer {
        let tokenizer = try tokenizer(folder)
        var doubts = tokenizer.doubts(of: model.description, vocabulary: model.vocabularySize)
        // A twin whose tokenizer cannot be read needs none.
        if let twin, let other = try? Tokenizer(checkpointFolder: twin),
            let difference = tokenizer.difference(from: other, in: twin) {
            doubts.append(difference)
        }
        for doubt in doubts { progress.log(.warning, "\(folder): \(doubt)") }
        return tokenizer
    }

    /// The tokenizer of a checkpoint.
    private static func tokenizer(_ folder: String) throws -> Tokenizer {
        do {
            return try Tokenizer(checkpointFolder: folder)
        } catch {
            guard case .notFound = error else { throw error }
            throw JobError.badInput("\(error); token ids can be given with --tokens", file: folder)
        }
    }
}
