import CommandLineKit
import Jobs
import Safetensors

/// `lowrank reconstruct OUT -o DENSE`: the plain dense checkpoint again.
struct ReconstructCommand: Command {
    static let input = Argument(.folder("OUT"), help: "Compressed folder")
    static let output = RequiredOption("output", letter: "o", .folder("DENSE"), help: "Folder to write")
    static let precision = Setting(
        "dtype", .choice(), default: ReconstructJob.Precision.keep,
        help: "Types of the source, or single precision throughout")
    static let shardSize = Setting(
        "max-shard-size", .bytes("SIZE"), default: CompressionRequest.defaultShardBytes, help: "Largest weight file")

    static let specification = CommandSpecification(
        "reconstruct", summary: "Write the dense checkpoint that any loader accepts",
        discussion: """
            Names, shapes and types are those of the source. The folder is as large as the source; what compression \
            changed stays changed.
            """,
        arguments: [input],
        sections: [OptionSection("Options", [output, precision, shardSize, ReadingOptions.noMapping])],
        examples: [Example("lowrank reconstruct small -o dense --dtype f32", "Dense again, without rounding")])

    private let arguments: ParsedArguments

    init(_ arguments: ParsedArguments) throws {
        self.arguments = arguments
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let output = arguments[Self.output]
        let job = ReconstructJob(
            input: arguments[Self.input], output: output, precision: arguments[Self.precision],
            maximumShardBytes: arguments[Self.shardSize], force: context.force)
        let bytes = try job.run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(
            text: { "wrote \(output): \(ByteCount.exact(bytes)) of tensors" },
            json: { (["output": JSON(output), "tensor_bytes": JSON(bytes)] as JSON).text(pretty: true) })
        return .done
    }
}
