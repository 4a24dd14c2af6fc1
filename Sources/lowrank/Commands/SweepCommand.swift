import CommandLineKit
import Jobs

/// `lowrank sweep CKPT -o DIR --methods A,B --keep .9,.8`: what every method costs and loses at every size.
struct SweepCommand: Command {
    static let checkpoint = Argument(.folder("CKPT"), help: "Hugging Face folder, or one safetensors file")
    static let output = RequiredOption("output", letter: "o", .folder("DIR"), help: "Folder to write")
    static let write = Option(
        "write", .text("WHICH"),
        help: "Also write checkpoints, to DIR/points: all, numbers such as 1,3-5, or a regular expression on labels")
    static let evalText = OptionList(
        "eval-text", .file(), style: .variadic, help: "Text to measure the perplexity of every point on, UTF-8")
    static let evalTokens = Option(
        "eval-tokens", .file(), help: "Token ids in place of --eval-text: JSON or safetensors")
    static let evalSamples = Option(
        "eval-samples", .integer("N", from: 1),
        help: "First N windows or documents of --eval-text; without --text, --samples says so too")
    static let dryRun = Flag("dry-run", help: "List the points, read no weight, write nothing")

    static let specification = CommandSpecification(
        "sweep", summary: "Compare methods and sizes from one decomposition of every matrix",
        discussion: """
            Compresses in every combination of --methods, options and targets, and writes what each costs and loses \
            (sweep.csv, sweep.json, sweep.html). A point is the compression of the same options, and its figures are \
            those of compress and eval. Targets, --storage, --allocation, --objective and --rank-multiple take several \
            values between commas; options of one method take several between slashes (--tt-ranks 4,4/8,8) and apply \
            to that method only. Values that do not go together are left out with a notice.
            """,
        arguments: [checkpoint],
        sections: [
            OptionSection("Results", [output, SweepGrid.methods, write, evalText, evalTokens, evalSamples])
        ] + SweepGrid.sections + [OptionSection("Run", [dryRun, CompressCommand.resume])],
        exclusions: [
            MethodOptions.accuracy, TextOptions.exclusion, Exclusion("text to score", [evalText, evalTokens]),
        ],
        examples: [
            Example("lowrank sweep model -o results --methods svd,tucker --keep 0.9,0.8,0.7", "Six points"),
            Example(
                "lowrank sweep model -o out --storage factors,pivot --keep .8 --dry-run",
                "What a sweep of two forms would do"),
            Example(
                "lowrank sweep model -o out --methods tt --tt-order 2/3 --keep 0.5 --write 2",
                "Trains of two and three cores; the checkpoint of the second is written"),
        ], redirections: ["ratio": "--keep F,… or --remove F,…", "method": "--methods NAME,…"])

    private let request: SweepRequest
    private let leftOut: [String]
    private let isDryRun: Bool

    init(_ arguments: ParsedArguments) throws {
        let grid = try SweepGrid(arguments, checkpoint: arguments[Self.checkpoint])
        var request = SweepRequest(
            checkpoint: arguments[Self.checkpoint], output: arguments[Self.output], points: grid.points,
            evaluation: try Self.evaluation(arguments),
            written: try arguments[Self.write].map { try grid.labels(matching: $0) } ?? [])
        request.usesMapping = !arguments[ReadingOptions.noMapping]
        request.resume = arguments[CompressCommand.resume]
        self.request = request
        leftOut = grid.leftOut
        isDryRun = arguments[Self.dryRun]
    }

    /// The text to score: cut like that of `--text`, of samples of its own where there is both.
    private static func evaluation(_ arguments: ParsedArguments) throws -> SequenceSource? {
        let calibrates = try TextOptions.source(arguments) != nil
        let files = arguments[evalText], tokens = arguments[evalTokens]
        guard tokens != nil || !files.isEmpty else {
            if arguments.isGiven(evalSamples) { throw JobError.usage("--eval-samples needs --eval-text") }
            let about: [any OptionDeclaration] = [TextOptions.documents, TextOptions.context, TextOptions.samples]
            if !calibrates, let option = about.first(where: { arguments.isGiven($0) })?.specification.spelling {
                throw JobError.usage("\(option) is about text; give --eval-text or --text")
            }
            return nil
        }
        if tokens != nil, arguments[TextOptions.documents] != nil, !calibrates {
            throw JobError.usage("--documents is about text; a list of lists in --eval-tokens gives documents")
        }
        let separator = tokens == nil ? arguments[TextOptions.documents] : nil
        return SequenceSource(
            tokens.map { .tokens($0) } ?? .text(files), context: arguments[TextOptions.context],
            division: separator.map { .documents(separator: $0) } ?? .windows, bos: arguments[TextOptions.bos],
            samples: arguments[evalSamples] ?? (calibrates ? nil : arguments[TextOptions.samples]))
    }

    func run(_ context: RunContext) throws -> ExitCode {
        var request = request
        request.force = context.force
        request.commandLine = context.commandLine
        for index in request.points.indices { request.points[index].request.seed(with: context.seed) }
        for reason in leftOut { context.terminal.log(.notice, reason) }
        let job = SweepJob(request)
        if isDryRun {
            let points = try job.dryRun(progress: context.terminal)
            context.terminal.publish(text: { points.text }, json: { points.json.text(pretty: true) })
            return .done
        }
        let report = try job.run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(
            text: { report.summary(output: request.output) }, json: { report.json.text(pretty: true) })
        return .done
    }
}
