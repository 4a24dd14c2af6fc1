import CommandLineKit
import Jobs

/// `lowrank inspect CKPT`
struct InspectCommand: Command {
    static let checkpoint = Argument(.folder("CKPT"), help: "Hugging Face folder or safetensors file")
    static let tensors = Flag("tensors", help: "List every tensor")
    static let spectrum = Flag("spectrum", help: "Add the effective rank of every layer that would be compressed")

    static let specification = CommandSpecification(
        "inspect", summary: "Show what is in a checkpoint: architecture, tensors, parameters by role, shards",
        arguments: [checkpoint], sections: [OptionSection("Options", [tensors, spectrum, ReadingOptions.noMapping])],
        examples: [
            Example("lowrank inspect Llama-2-7b-hf", "Look at a model"),
            Example("lowrank inspect Llama-2-7b-hf --spectrum --json", "Effective ranks for a script"),
        ])

    private let job: InspectJob
    private let listsTensors: Bool

    init(_ arguments: ParsedArguments) {
        job = InspectJob(
            checkpoint: arguments[Self.checkpoint], includesSpectra: arguments[Self.spectrum])
        listsTensors = arguments[Self.tensors]
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let report = try job.run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(
            text: { report.text(listsTensors: listsTensors) }, json: { report.json.text(pretty: false) })
        return .done
    }
}
