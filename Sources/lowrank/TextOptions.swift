import CommandLineKit
import Jobs
import Models

/// The options by which commands are given text or tokens.
enum TextOptions {
    static let text = OptionList("text", .file(), style: .variadic, help: "Text, UTF-8, read verbatim")
    static let tokens = Option("tokens", .file(), help: "Token ids in place of text: JSON or safetensors")
    static let documents = Option(
        "documents", .text("SEP"), help: "The text is documents between lines equal to SEP")
    static let context = Option("context", .integer("L", from: 2), help: "Tokens of a window, by default up to 2048")
    static let samples = Option("samples", .integer("N", from: 1), help: "First N windows or documents only")
    static let bos = Setting(
        "bos", ValueFormat<TokenSequences.BOSPolicy>.choice(), default: .auto,
        help: "Whether the token that begins a text is put first")

    static let section = OptionSection("Text", [text, tokens, documents, context, samples, bos])
    static let exclusion = Exclusion("input", [text, tokens])

    /// nil where neither text nor tokens are given.
    static func source(_ arguments: ParsedArguments) throws -> SequenceSource? {
        let input: SequenceSource.Input
        if let tokens = arguments[tokens] {
            if arguments[documents] != nil {
                throw JobError.usage("--documents is about text; a list of lists in --tokens gives documents")
            }
            input = .tokens(tokens)
        } else if arguments[text].isEmpty {
            return nil
        } else {
            input = .text(arguments[text])
        }
        return SequenceSource(
            input, context: arguments[context],
            division: arguments[documents].map { .documents(separator: $0) } ?? .windows, bos: arguments[bos],
            samples: arguments[samples])
    }
}
