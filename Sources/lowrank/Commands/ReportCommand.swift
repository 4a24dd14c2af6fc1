import CommandLineKit
import Jobs
import Reporting
import Safetensors

/// `lowrank report report.json -o FILE.html`: renders a report or a sweep again.
struct ReportCommand: Command {
    static let input = Argument(.file("JSON"), help: "report.json of compress, or sweep.json of sweep")
    static let output = RequiredOption("output", letter: "o", .file(), help: "Page (.html) or Markdown (.md) to write")
    static let size = Option(
        "limit-size", .bytes(), help: "Sweep: recommend the best result of at most this many bytes of tensors")
    static let perplexity = Option(
        "limit-perplexity", .number("X", from: .exclusive(0)),
        help: "Sweep: recommend the smallest result of at most this perplexity")
    static let error = Option(
        "limit-error", .number("X", from: .exclusive(0)),
        help: "Sweep: recommend the smallest result of at most this relative error of the weights")

    static let specification = CommandSpecification(
        "report", summary: "Render a report or a sweep again, as a page or as Markdown",
        discussion: """
            The page is one file that fetches nothing; compress writes it beside report.json. Markdown is for the \
            summary page of a CI job. Standard output has the report in one line; of a sweep with a limit the \
            recommended result, and the exit code is 1 where no result keeps to it.
            """,
        arguments: [input],
        sections: [OptionSection("Output", [output]), OptionSection("Recommendation", [size, perplexity, error])],
        exclusions: [Exclusion("limit", [size, perplexity, error])],
        examples: [
            Example("lowrank report small/report.json -o report.html", "A page to look at"),
            Example("lowrank report small/report.json -o summary.md", "Markdown for the summary of a CI job"),
            Example("lowrank report runs/sweep.json -o sweep.html --limit-size 4.5GB", "The best result that fits"),
        ])

    private let arguments: ParsedArguments

    init(_ arguments: ParsedArguments) throws {
        self.arguments = arguments
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let limit =
            arguments[Self.size].map(SweepLimit.bytes) ?? arguments[Self.perplexity].map(SweepLimit.perplexity)
            ?? arguments[Self.error].map(SweepLimit.relativeError)
        let output = arguments[Self.output]
        let result = try ReportJob(
            input: arguments[Self.input], output: output, limit: limit, force: context.force
        ).run()
        context.terminal.publish(
            text: { (result.summary.map { $0 + "\n" } ?? "") + "wrote \(output)" },
            json: {
                (["output": JSON(output), "summary": result.summary.map { JSON($0) } ?? .null] as JSON)
                    .text(pretty: true)
            })
        return result.isLimitKept ? .done : .conditionNotMet
    }
}
