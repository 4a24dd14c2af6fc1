import CommandLineKit
import Jobs

/// `lowrank recover CKPT --reference DENSE --text FILE… -o OUT`
struct RecoverCommand: Command {
    static let checkpoint = Argument(.folder("CKPT"), help: "Compressed folder")
    static let reference = RequiredOption("reference", .folder("DENSE"), help: "The model that it is to be like")
    static let output = RequiredOption("output", letter: "o", .folder("OUT"), help: "Folder to write")
    static let shardSize = Setting(
        "max-shard-size", .bytes("SIZE"), default: CompressionRequest.defaultShardBytes,
        help: "Largest weight file")
    static let stages = OptionList(
        "stages", ValueFormat<RecoveryStage>.choice(), style: .repeated, help: "Only these parts, by default network")
    static let blockEpochs = Setting(
        "block-epochs", .integer("N", from: 1), default: TrainingSettings().blockEpochs,
        help: "Times that each block sees the text")
    static let epochs = Setting(
        "epochs", .integer("N", from: 1), default: TrainingSettings().epochs,
        help: "Times that the whole network sees the text")
    static let rate = Setting(
        "rate", .number("X", from: .exclusive(0)), default: TrainingSettings().rate,
        help: "Largest step, relative to the tensor and the root of the loss; a quarter for the network")
    static let stepTokens = Setting(
        "step-tokens", .integer("N", from: 1), default: TrainingSettings().tokensPerStep, help: "Tokens of a step")
    static let heldOut = Setting(
        "held-out", .number("F", from: .exclusive(0), to: .inclusive(0.5)), default: TrainingSettings().heldOutShare,
        help: "Share of the text that is not learned from")
    static let resume = Flag("resume", help: "Continue an interrupted run of the same command")

    static let specification = CommandSpecification(
        "recover", summary: "Refine a compressed model against the dense one without changing a shape",
        discussion: """
            All blocks together by gradient descent on the predictions of the next token (network). Before that, or \
            in its place where memory is short, block by block if --stages says so: every matrix by least squares \
            (layers), then the matrices of a block together on its output (blocks). Part of the text is held out; a \
            stage that is no better there changes nothing, ends early where nothing is gained, and halves its steps \
            where they lead away. Norms, biases, embeddings and dense layers stay.
            """,
        arguments: [checkpoint],
        sections: [
            OptionSection("Output", [output, shardSize]), TextOptions.section,
            OptionSection("Training", [reference, stages, blockEpochs, epochs, rate, stepTokens, heldOut]),
            OptionSection("Running", [resume]),
        ], exclusions: [TextOptions.exclusion],
        examples: [
            Example("lowrank recover small --reference model --text wiki.txt -o better", "The whole network"),
            Example(
                "lowrank recover small --reference model --text t.txt --stages layers -o out",
                "Matrix by matrix, for little memory"),
        ])

    private let request: RecoveryRequest

    init(_ arguments: ParsedArguments) throws {
        guard let source = try TextOptions.source(arguments) else { throw JobError.usage("give --text or --tokens") }
        var request = RecoveryRequest(
            checkpoint: arguments[Self.checkpoint], reference: arguments[Self.reference], source: source,
            output: arguments[Self.output])
        let stages = arguments[Self.stages]
        if !stages.isEmpty { request.stages = RecoveryStage.allCases.filter(stages.contains) }
        request.training.blockEpochs = arguments[Self.blockEpochs]
        request.training.epochs = arguments[Self.epochs]
        request.training.rate = arguments[Self.rate]
        request.training.tokensPerStep = arguments[Self.stepTokens]
        request.training.heldOutShare = arguments[Self.heldOut]
        request.maximumShardBytes = arguments[Self.shardSize]
        request.resume = arguments[Self.resume]
        self.request = request
    }

    func run(_ context: RunContext) throws -> ExitCode {
        var request = request
        request.force = context.force
        request.training.seed = context.seed
        request.commandLine = context.commandLine
        let report = try RecoverJob(request).run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(text: { report.summary }, json: { report.json.text(pretty: true) })
        return .done
    }
}
