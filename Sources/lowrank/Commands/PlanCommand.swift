import CommandLineKit
import Jobs
import Safetensors

/// `lowrank plan CKPT [-o FILE]`: what a compression would do, to read and to edit.
struct PlanCommand: Command {
    static let checkpoint = Argument(.folder("CKPT"), help: "Hugging Face folder, or one safetensors file")
    static let output = Option("output", letter: "o", .file("FILE"), help: "File to write, such as plan.json")

    static let specification = CommandSpecification(
        "plan", summary: "Show the rank and size of every matrix for a target, and write an editable plan",
        discussion: """
            Reads the headers of a checkpoint, and weights only where the allocation needs their spectra. The file \
            says for each matrix its method, storage and rank; change what you like, remove what should stay dense, \
            and give it to compress --plan. Modules may have different methods.
            """,
        arguments: [checkpoint],
        sections: [
            OptionSection("Output", [output, CompressionOptions.factorType]),
            OptionSection("How much", TargetOptions.all + [TargetOptions.plan]),
            OptionSection("What", SelectionOptions.all),
            OptionSection("How", MethodOptions.common + MethodOptions.special),
            ObjectiveOptions.section, CompressionOptions.allocationSection,
            OptionSection("Running", [ReadingOptions.noMapping]),
        ], exclusions: [TargetOptions.exclusion, MethodOptions.accuracy, TextOptions.exclusion],
        examples: [
            Example("lowrank plan model --keep 0.6 --storage pivot", "See the ranks"),
            Example("lowrank plan model --target-size 4.5GB -o plan.json", "Write a plan to edit"),
        ], redirections: ["ratio": "--keep F or --remove F"])

    private let request: CompressionRequest
    private let output: String?

    init(_ arguments: ParsedArguments) throws {
        output = arguments[Self.output]
        var request = try CompressionOptions.request(
            arguments, checkpoint: arguments[Self.checkpoint], output: output ?? "")
        request.spectra?.isWritten = true
        self.request = request
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let file = output.map {
            OutputRequest($0, kind: .file, inputs: [request.checkpoint], force: context.force)
        }
        try file?.validate()
        let planned = try CompressJob(request).plan(progress: context.terminal)
        if let file {
            try StagedOutput.write(file, resumable: nil) {
                try AtomicFile.write(try planned.json().text(pretty: true), to: $0.path)
            }
        }
        try context.terminal.publish(
            text: { try planned.text() + (output.map { "wrote \($0)\n" } ?? "") },
            json: { try planned.json().text(pretty: true) })
        return .done
    }
}
