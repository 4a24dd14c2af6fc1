import CommandLineKit
import Jobs
import Statistics

/// `lowrank calibrate CKPT --text FILE… -o STATS`
struct CalibrateCommand: Command {
    static let checkpoint = Argument(.folder("CKPT"), help: "checkpoint, dense or compressed")
    static let output = RequiredOption("output", letter: "o", .file("STATS"), help: "Statistics file to write")
    static let precision = Option(
        "precision", ValueFormat<StatisticsHeader.Precision>.choice(),
        help: "Type of the stored moments, by default f64")
    static let append = Flag("append", help: "Add to STATS where it exists")
    static let gradients = Setting(
        "gradients", ValueFormat<CalibrationRequest.Gradients>.choice(), default: .auto,
        help: "Look at gradients on the way back too: auto where their sums fit in memory, always, never")
    static let memory = Option(
        "memory", .bytes("SIZE"), help: "Memory for moments, by default half of the machine's")
    static let resume = Flag("resume", help: "Continue an interrupted run of the same command")

    static let specification = CommandSpecification(
        "calibrate", summary: "Collect what the inputs of every linear layer look like over text",
        discussion: """
            Writes, for every distinct input of a linear layer, the second moment of its values (summed in double \
            precision), their mean sizes and the number of tokens, as safetensors. Query, key and value share an \
            input, and so do gate and up; every expert has its own, over the tokens routed to it. The model is gone \
            through layer by layer, so memory grows with one layer and not with the model. Then it is gone through \
            and back, for the second moments of the gradients that reach the outputs of every layer: they tell \
            compress what an error costs.
            """,
        arguments: [checkpoint],
        sections: [
            OptionSection("Output", [output, precision, gradients, append]), TextOptions.section,
            OptionSection("Running", [memory, resume, ReadingOptions.noMapping]),
        ], exclusions: [TextOptions.exclusion],
        examples: [
            Example("lowrank calibrate model --text wiki.txt --samples 128 -o stats.safetensors", "128 windows"),
            Example(
                "lowrank calibrate model --text more.txt --append -o stats.safetensors", "Another text, added"),
        ])

    private let request: CalibrationRequest

    init(_ arguments: ParsedArguments) throws {
        guard let source = try TextOptions.source(arguments) else { throw JobError.usage("give --text or --tokens") }
        var request = CalibrationRequest(
            checkpoint: arguments[Self.checkpoint], source: source, output: arguments[Self.output])
        request.precision = arguments[Self.precision]
        request.gradients = arguments[Self.gradients]
        request.appends = arguments[Self.append]
        request.memoryBytes = arguments[Self.memory]
        request.resume = arguments[Self.resume]
        self.request = request
    }

    func run(_ context: RunContext) throws -> ExitCode {
        var request = request
        request.force = context.force
        let result = try CalibrateJob(request).run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(text: { result.text }, json: { result.json.text(pretty: true) })
        return .done
    }
}
