import CommandLineKit
import Foundation
import Jobs
import Models

/// `lowrank generate CKPT --prompt TEXT`
struct GenerateCommand: Command {
    static let checkpoint = Argument(.folder("CKPT"), help: "checkpoint, dense or compressed")
    static let prompt = Option("prompt", .text("TEXT"), help: "Text to continue, by default standard input")
    static let tokens = Option("tokens", .file(), help: "Token ids to continue: JSON or safetensors")
    static let mostTokens = Setting(
        "max-tokens", .integer("N", from: 1), default: 256, help: "Tokens to write at most")
    static let temperature = Setting(
        "temperature", .number("T", from: .inclusive(0)), default: 0, help: "0 takes the likeliest token")
    static let topK = Option("top-k", .integer("K", from: 1), help: "Draw from the K likeliest tokens")
    static let topP = Option(
        "top-p", .number("P", from: .exclusive(0), to: .inclusive(1)),
        help: "Draw from the likeliest tokens that together have probability P")
    static let stop = OptionList("stop", .text("TOKEN"), style: .repeated, help: "A further token that ends the text")
    static let ignoreEnds = Flag("ignore-eos", help: "Go on after the model's own end of text")

    static let specification = CommandSpecification(
        "generate", summary: "Continue a text with a model", arguments: [checkpoint],
        sections: [
            OptionSection("Prompt", [prompt, tokens]),
            OptionSection("Sampling", [mostTokens, temperature, topK, topP, stop, ignoreEnds]),
            OptionSection("Running", [ReadingOptions.noMapping]),
        ], exclusions: [Exclusion("prompt", [prompt, tokens])],
        examples: [
            Example("lowrank generate model --prompt 'Once upon a time'", "The likeliest text"),
            Example(
                "lowrank generate model --prompt 'Once' --temperature 0.8 --seed 7", "A text drawn at random"),
        ])

    private let checkpoint: String
    /// nil for standard input.
    private let prompt: GenerateJob.Prompt?
    private let sampler: (temperature: Double, topK: Int?, topP: Double?)
    private let mostTokens: Int
    private let stops: [String]
    private let ignoresEnds: Bool

    init(_ arguments: ParsedArguments) throws {
        checkpoint = arguments[Self.checkpoint]
        prompt = arguments[Self.tokens].map { .tokens($0) } ?? arguments[Self.prompt].map { .text($0) }
        sampler = (arguments[Self.temperature], arguments[Self.topK], arguments[Self.topP])
        mostTokens = arguments[Self.mostTokens]
        stops = arguments[Self.stop]
        ignoresEnds = arguments[Self.ignoreEnds]
        if sampler.temperature == 0 && (sampler.topK != nil || sampler.topP != nil) {
            throw JobError.usage("--top-k and --top-p draw at random; give a --temperature above 0")
        }
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let job = GenerateJob(
            checkpoint: checkpoint, prompt: try prompt ?? .text(Self.standardInput(context.terminal)),
            sampler: Sampler(
                temperature: sampler.temperature, topK: sampler.topK, topP: sampler.topP, seed: context.seed),
            mostTokens: mostTokens, stops: stops, ignoresEnds: ignoresEnds,
            library: MethodRegistry.library)
        let streams = !context.terminal.settings.usesJSON
        let result = try job.run(progress: context.terminal, interruption: context.interruption) { text in
            if streams { context.terminal.write(text) }
        }
        let ids = result.tokens.map(String.init).joined(separator: " ")
        context.terminal.publish(
            text: { result.text == nil ? ids : "\n" }, json: { result.json.text(pretty: false) })
        context.terminal.log(.notice, result.summary)
        return result.ending == .interrupted ? .interrupted : .done
    }

    /// All of standard input, without the line end that closes it.
    private static func standardInput(_ terminal: Terminal) throws -> String {
        if isatty(0) == 1 { terminal.log(.notice, "type the prompt, and Ctrl-D on a line of its own behind it") }
        let bytes: Data
        do {
            bytes = try FileHandle.standardInput.readToEnd() ?? Data()
        } catch {
            throw JobError.usage("standard input, where the prompt is expected, cannot be read; give --prompt")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw JobError.badInput("standard input is not UTF-8")
        }
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
