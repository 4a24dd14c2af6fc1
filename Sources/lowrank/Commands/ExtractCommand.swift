import CommandLineKit
import CompressionCore
import Jobs
import MatrixCore
import Safetensors

/// `lowrank extract-lora A --base B -o ADAPTER`: the difference of two checkpoints as a PEFT adapter.
struct ExtractCommand: Command {
    static let model = Argument(.folder("A"), help: "Checkpoint, dense or compressed, such as a fine-tuned model")
    static let base = RequiredOption("base", .folder("B"), help: "Checkpoint that the adapter will be added to")
    static let output = RequiredOption("output", letter: "o", .folder("ADAPTER"), help: "Folder to write")
    static let rank = Option("rank", .integer("R", from: 1), help: "At most R components a matrix; 16 by default")
    static let energy = Option(
        "energy", .number("F", from: .exclusive(0), to: .inclusive(1)),
        help: "The fewest components with this share of the squared difference, for every matrix")
    static let error = Option(
        "max-error", .number("F", from: .inclusive(0), to: .exclusive(1)),
        help: "The fewest components that leave this relative error of the difference, for every matrix")

    /// Rank where nothing is said.
    static let usualRank = 16

    static let specification = CommandSpecification(
        "extract-lora", summary: "Write the difference of two checkpoints as a PEFT adapter",
        discussion: """
            For every linear layer of the blocks the best approximation of A − B of its rank; ranks may differ, and \
            alpha is the rank, so PEFT adds the product as it is. Each checkpoint may be compressed: an adapter of the \
            dense model against a compressed one makes up for what compression lost; PEFT then wants the folder that \
            reconstruct writes. Experts are adapted as the stacks that transformers 5 holds them in, by PEFT's \
            target_parameters.
            """,
        arguments: [model],
        sections: [
            OptionSection("Output", [base, output, CompressionOptions.factorType]),
            OptionSection("Ranks", [rank, energy, error]), OptionSection("What", SelectionOptions.all),
        ], exclusions: [Exclusion("rank", [rank, energy, error])],
        examples: [
            Example("lowrank extract-lora tuned --base model -o adapter --rank 32", "A fine-tuning as an adapter"),
            Example("lowrank extract-lora model --base small -o repair --energy 0.3", "What compression lost, in part"),
        ])

    private let arguments: ParsedArguments

    init(_ arguments: ParsedArguments) throws {
        self.arguments = arguments
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let output = arguments[Self.output]
        let rank =
            arguments[Self.energy].map(AdapterRank.energy) ?? arguments[Self.error].map(AdapterRank.error)
            ?? .rank(arguments[Self.rank] ?? Self.usualRank)
        let result = try AdapterJob(
            model: arguments[Self.model], base: arguments[Self.base], output: output, rank: rank,
            selection: SelectionOptions.selection(arguments),
            type: CompressionOptions.type(named: arguments[CompressionOptions.factorType]), force: context.force
        ).run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(
            text: { result.text(output: output) }, json: { result.json(output: output).text(pretty: true) })
        return .done
    }
}
