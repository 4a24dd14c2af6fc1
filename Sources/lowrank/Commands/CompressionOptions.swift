import CommandLineKit
import Jobs
import MatrixCore
import Planning

/// What `compress` and `plan` are both told.
enum CompressionOptions {
    static let factorType = Setting(
        "factor-dtype", .word(["keep", "f32", "f16", "bf16"]), default: "keep",
        help: "Type of the factors; keep is that of each weight")

    static let allocation = Option(
        "allocation", ValueFormat<AllocationRule>.choice("RULE"),
        help: "How the target is divided: uniform, effective-rank, loss, greedy or perplexity; with --stats and --text "
            + "greedy")

    static let searchEvaluations = Option(
        "search-evaluations", .integer("N", from: 1, to: 100_000),
        help: "Measurements that --allocation perplexity may take, by default 50")

    static let spectra = Option(
        "spectra", .file(),
        help: "Spectra that the allocation needs, from a file; plan makes it where it is missing")

    /// How the target is divided, and by which text sensitivities are measured.
    static let allocationSection = OptionSection(
        "Allocation",
        [
            allocation, searchEvaluations, spectra, TextOptions.text, TextOptions.tokens, TextOptions.documents,
            TextOptions.context,
            TextOptions.samples, TextOptions.bos,
        ])

    /// - Throws: `JobError.usage` if there is no target.
    static func request(
        _ arguments: ParsedArguments, checkpoint: String, output: String
    ) throws -> CompressionRequest {
        let recipe = try Recipe(arguments)
        var request = CompressionRequest(
            checkpoint: checkpoint, output: output, target: try TargetOptions.target(arguments),
            selection: SelectionOptions.selection(arguments), method: arguments[MethodOptions.method],
            settings: MethodOptions.settings(arguments, knowsActivations: recipe.objective.knowsActivations))
        request.objective = recipe.objective
        request.allocation = recipe.allocation
        request.planPath = arguments[TargetOptions.plan]
        request.spectra = arguments[spectra].map { CompressionRequest.Spectra(path: $0) }
        request.factorType = type(named: arguments[factorType])
        return request
    }

    static func type(named name: String) -> ElementType? {
        switch name {
        case "f32": .float32
        case "f16": .float16
        case "bf16": .bfloat16
        default: nil
        }
    }
}

extension CompressionRequest {
    /// Makes every random number follow from a seed.
    mutating func seed(with seed: UInt64) {
        settings.seed = seed
        if case .randomized(let oversampling, let iterations, _) = settings.route {
            settings.route = .randomized(oversampling: oversampling, powerIterations: iterations, seed: seed)
        }
    }
}
