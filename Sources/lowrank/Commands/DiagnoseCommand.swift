import CommandLineKit
import Jobs

/// `lowrank diagnose CKPT`
struct DiagnoseCommand: Command {
    static let checkpoint = Argument(.folder("CKPT"), help: "Hugging Face folder or safetensors file")
    static let keep = Setting(
        "keep", .number("F", from: .exclusive(0), to: .exclusive(1)), default: 0.5,
        help: "Share of the parameters at which a shared basis is held against separate factors")

    static let specification = CommandSpecification(
        "diagnose", summary: "Look at spectra, outliers and shared subspaces: which method can work where",
        discussion: """
            Decomposes every selected matrix and writes nothing. With statistics of calibrate, or text, it also looks \
            at what the layers do with their inputs.
            """,
        arguments: [checkpoint],
        sections: [
            OptionSection("Options", [keep, ReadingOptions.noMapping]), OptionSection("What", SelectionOptions.all),
            OptionSection("Activations", [ObjectiveOptions.statistics]), TextOptions.section,
        ], exclusions: [TextOptions.exclusion],
        examples: [
            Example("lowrank diagnose model", "Every block matrix"),
            Example("lowrank diagnose model --stats stats.safetensors --json", "With activations, for a script"),
        ])

    private let request: DiagnoseRequest

    init(_ arguments: ParsedArguments) throws {
        var request = DiagnoseRequest(checkpoint: arguments[Self.checkpoint])
        request.selection = SelectionOptions.selection(arguments)
        request.statistics = arguments[ObjectiveOptions.statistics]
        request.text = try TextOptions.source(arguments)
        if request.statistics != nil, request.text != nil {
            throw JobError.usage("--stats and --text exclude each other: both say what the inputs look like")
        }
        request.keep = arguments[Self.keep]
        self.request = request
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let found = try DiagnoseJob(request).run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(text: { found.text }, json: { found.json.text(pretty: false) })
        return .done
    }
}
