import CommandLineKit
import Jobs
import Models

/// `lowrank eval CKPT --text FILE`
struct EvalCommand: Command {
    static let checkpoint = Argument(.folder("CKPT"), help: "checkpoint, dense or compressed")
    static let reference = Option(
        "reference", .folder("DENSE"),
        help: "Checkpoint to compare with: divergence, agreement, entropy, drift of hidden states")
    static let failAbove = Option(
        "fail-if-perplexity-above", .number("P", from: .exclusive(0)), help: "End with 1 if perplexity is higher")
    static let choices = Option(
        "choices", .file(),
        help: #"Questions, a line each: {"context": "…", "choices": ["…", "…"], "answer": 0}"#)
    static let logits = Option(
        "logits", .file(), help: "Also write the logits of all tokens, as safetensors")
    static let report = Flag("report", help: "Also put the figures into report.json of CKPT, and make its pages again")

    static let specification = CommandSpecification(
        "eval", summary: "Measure how well a model predicts text",
        discussion: """
            Text is tokenised once and cut into windows without overlap, or into documents; \
            the perplexity is the exponential of the mean loss of all tokens but the first of each. \
            Questions are scored by the likelihood of each choice behind its context, a line of --choices being \
            {"context": "2 + 2 =", "choices": ["3", "4"], "answer": 1}.
            """,
        arguments: [checkpoint],
        sections: [
            TextOptions.section,
            OptionSection("Evaluation", [reference, choices, failAbove, logits, report, ReadingOptions.noMapping]),
        ], exclusions: [TextOptions.exclusion],
        examples: [
            Example("lowrank eval model --text wikitext2.txt", "Perplexity in windows of up to 2048 tokens"),
            Example(
                "lowrank eval small --text stories.txt --documents '***' --reference model",
                "Documents, beside the dense model"),
            Example("lowrank eval small --text wiki.txt --reference model --report", "Perplexity for its report.html"),
            Example("lowrank eval small --choices arc.jsonl", "Multiple choice, from Scripts/convert_choices.py"),
        ])

    private let job: EvalJob
    private let limit: Double?

    init(_ arguments: ParsedArguments) throws {
        let source = try TextOptions.source(arguments)
        if source == nil && arguments[Self.choices] == nil {
            throw JobError.usage("give --text, --tokens or --choices")
        }
        let aboutText: [(String, Bool)] = [
            ("--reference", arguments[Self.reference] != nil), ("--logits", arguments[Self.logits] != nil),
            ("--fail-if-perplexity-above", arguments[Self.failAbove] != nil),
            ("--documents", arguments[TextOptions.documents] != nil),
            ("--context", arguments[TextOptions.context] != nil), ("--samples", arguments[TextOptions.samples] != nil),
        ]
        if source == nil, let option = aboutText.first(where: \.1)?.0 {
            throw JobError.usage("\(option) is about text; give --text or --tokens")
        }
        var job = EvalJob(
            checkpoint: arguments[Self.checkpoint], source: source, choicesFile: arguments[Self.choices],
            reference: arguments[Self.reference], logitsFile: arguments[Self.logits],
            library: MethodRegistry.library)
        job.choicesBegin = arguments[TextOptions.bos] == .always
        job.isReported = arguments[Self.report]
        self.job = job
        limit = arguments[Self.failAbove]
    }

    func run(_ context: RunContext) throws -> ExitCode {
        var job = job
        job.force = context.force
        let result = try job.run(progress: context.terminal, interruption: context.interruption)
        let perplexity = result.text?.perplexity?.perplexity
        if limit != nil && perplexity == nil {
            throw JobError.usage("--fail-if-perplexity-above: an encoder predicts no next token and has no perplexity")
        }
        context.terminal.publish(text: { result.report }, json: { result.json.text(pretty: false) })
        if job.isReported { context.terminal.log(.notice, "wrote the figures to \(job.checkpoint)/report.json") }
        guard let limit, let perplexity, perplexity > limit else { return .done }
        context.terminal.log(
            .warning,
            "perplexity \(Quantity.significant(perplexity, 6)) is above \(Quantity.significant(limit, 6)), the limit "
                + "of --fail-if-perplexity-above")
        return .conditionNotMet
    }
}
