import CommandLineKit
import Jobs
import Planning
import Statistics

/// What statistics and text ask for together, where single options do not say it.
///
/// | given | objective | ranks | matrices are fitted |
/// |---|---|---|---|
/// | neither | weights | uniform | apart |
/// | `--stats` | activations | uniform | apart |
/// | `--text` | activations | uniform | in sequence |
/// | both | kfac, or activations where the statistics have no gradients | greedy for svd, else uniform | in sequence |
///
/// Objectives that do not look at activations leave text to the allocation, for sensitivities.
struct Recipe {
    let objective: ObjectiveRequest
    let allocation: CompressionRequest.Allocation

    /// - Throws: `JobError.usage` for what does not go together; what is wrong with the statistics, where they decide.
    init(_ arguments: ParsedArguments) throws {
        let text = try TextOptions.source(arguments)
        let insists = arguments[ObjectiveOptions.sequential]
        if insists, text == nil { throw JobError.usage("--sequential needs --text or --tokens") }
        var objective = ObjectiveRequest(
            kind: arguments[ObjectiveOptions.objective], statistics: arguments[ObjectiveOptions.statistics],
            fisher: arguments[ObjectiveOptions.fisher])
        let isUsual = objective.kind == nil && objective.fisher == nil
        if isUsual || objective.kind?.goesInSequence == true || insists { objective.text = text }
        objective.insistsOnSequence = insists
        let knowsModel = objective.statistics != nil && text != nil
        if isUsual, knowsModel, try Self.hasGradients(objective.statistics) { objective.kind = .kfac }
        try objective.validate()
        self.objective = objective
        let usual: AllocationRule = knowsModel && arguments[MethodOptions.method] == "svd" ? .greedy : .uniform
        let rule = arguments[CompressionOptions.allocation] ?? usual
        // Gradients say what an error costs; without them it is measured, for the one rule that asks.
        let isMeasured = rule == .perplexity || rule == .greedy && objective.kind != .kfac
        var allocation = CompressionRequest.Allocation(rule: rule, text: isMeasured ? text : nil)
        if rule == .perplexity, text == nil { throw JobError.usage("--allocation perplexity needs --text or --tokens") }
        if let count = arguments[CompressionOptions.searchEvaluations] {
            guard rule == .perplexity else {
                throw JobError.usage("--search-evaluations is for --allocation perplexity, not \(rule.rawValue)")
            }
            allocation.searchEvaluations = count
        }
        self.allocation = allocation
        if text != nil, objective.text == nil, allocation.text == nil {
            let name = objective.effectiveKind.rawValue
            throw JobError.usage(
                "--objective \(name) with --allocation \(rule.rawValue) does not use --text; leave it out, or give "
                    + "--allocation greedy")
        }
    }

    private static func hasGradients(_ statistics: String?) throws -> Bool {
        guard let statistics else { return false }
        return try !ActivationStatistics(path: statistics).header.gradients.isEmpty
    }
}
