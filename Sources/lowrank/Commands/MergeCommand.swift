import CommandLineKit
import Jobs

/// `lowrank merge PART… -o OUT`
struct MergeCommand: Command {
    static let parts = ArgumentList(.folder("PART"), help: "Folders that compress --shard wrote, all of one run")
    static let output = RequiredOption("output", letter: "o", .folder("OUT"), help: "Folder to write")
    static let source = Option(
        "source", .folder("CKPT"), help: "The checkpoint, where it is not at the path that the parts were made from")

    static let specification = CommandSpecification(
        "merge", summary: "Join the parts of compress --shard into the output of a single run",
        discussion: """
            The weights have the bytes that one run over everything gives. All parts must be there, each once, made by \
            this version of the program from the same checkpoint with the same options and instruction set. What is \
            not compressed is copied from the checkpoint.
            """,
        arguments: [parts], sections: [OptionSection("Options", [output, source, ReadingOptions.noMapping])],
        examples: [
            Example("lowrank compress model -o part1 --keep 0.8 --shard 1/2", "One half of the work, on one machine"),
            Example("lowrank merge part1 part2 -o small", "Both halves to one checkpoint"),
        ])

    private let job: MergeJob

    init(_ arguments: ParsedArguments) {
        job = MergeJob(
            parts: arguments[Self.parts], output: arguments[Self.output], checkpoint: arguments[Self.source])
    }

    func run(_ context: RunContext) throws -> ExitCode {
        var job = job
        job.force = context.force
        job.commandLine = context.commandLine
        let report = try job.run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(
            text: { report.summary(output: job.output) }, json: { report.json.text(pretty: true) })
        return .done
    }
}
