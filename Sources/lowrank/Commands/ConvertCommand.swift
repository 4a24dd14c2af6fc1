import CommandLineKit
import CompressionCore
import Jobs
import Safetensors

/// `lowrank convert OUT -o OUT2 --storage factors|pivot`: the same matrices stored the other way.
struct ConvertCommand: Command {
    static let input = Argument(.folder("OUT"), help: "Compressed folder")
    static let output = RequiredOption("output", letter: "o", .folder("OUT2"), help: "Folder to write")
    static let storage = RequiredOption(
        "storage", ValueFormat<MethodSettings.Storage>.choice("FORM"),
        help: "factors, or pivot: without their redundant numbers")
    static let against = Option(
        "against", .folder("CKPT"), help: "Checkpoint it was made from, to measure the errors of the report again")
    static let shardSize = Setting(
        "max-shard-size", .bytes("SIZE"), default: CompressionRequest.defaultShardBytes, help: "Largest weight file")

    static let specification = CommandSpecification(
        "convert", summary: "Store the matrices of a compressed folder the other way",
        discussion: """
            Factors and pivot rows hold the same matrices: between them only rounding is lost, and the way back gives \
            the same bits. Matrices of other methods that are of low rank become factors or pivot rows too, each with \
            its own; those that are not, such as tensor trains, MixT and sparse ones, stay as they are.
            """,
        arguments: [input], sections: [OptionSection("Options", [output, storage, against, shardSize])],
        examples: [
            Example(
                "lowrank convert small -o plain --storage factors", "Two factors, for loaders that know no other form"),
            Example(
                "lowrank convert small -o smaller --storage pivot --against model", "Fewer numbers of the same matrices"
            ),
        ])

    private let arguments: ParsedArguments

    init(_ arguments: ParsedArguments) throws {
        self.arguments = arguments
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let output = arguments[Self.output]
        let job = ConvertJob(
            input: arguments[Self.input], output: output, storage: arguments[Self.storage],
            reference: arguments[Self.against], maximumShardBytes: arguments[Self.shardSize], force: context.force)
        let result = try job.run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(
            text: { result.text(output: output) }, json: { result.json(output: output).text(pretty: true) })
        return .done
    }
}
