import CommandLineKit
import Jobs

/// `lowrank verify OUT --against CKPT`: recomputes every error and holds it against the report.
struct VerifyCommand: Command {
    static let output = Argument(.folder("OUT"), help: "Folder that compress wrote")
    static let against = RequiredOption("against", .folder("CKPT"), help: "The checkpoint it was made from")
    static let tolerance = Setting(
        "tolerance", .number("X", from: .inclusive(0)), default: 1e-6,
        help: "Largest difference between an error found and the one reported")

    static let specification = CommandSpecification(
        "verify", summary: "Recompute every error of an output and hold it against its report",
        discussion: """
            Reads both folders and believes nothing that the compression computed: compressed matrices are \
            reconstructed and compared with the source, all other tensors must be the same byte for byte. Exit code 1 \
            means that something is not as reported.
            """,
        arguments: [output], sections: [OptionSection("Options", [against, tolerance, ReadingOptions.noMapping])],
        examples: [Example("lowrank verify small --against model", "Check a compressed folder")])

    private let job: VerifyJob

    init(_ arguments: ParsedArguments) throws {
        job = VerifyJob(
            output: arguments[Self.output], checkpoint: arguments[Self.against], tolerance: arguments[Self.tolerance])
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let found = try job.run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(text: { found.text }, json: { found.json.text(pretty: true) })
        return found.isWithinTolerance ? .done : .conditionNotMet
    }
}
