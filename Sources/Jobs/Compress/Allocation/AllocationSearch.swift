import CommandLineKit
import CompressionCore
import Models
import Planning

/// Looks for ranks at which the predictions on a text move least, from those of water filling on.
///
/// Ranks are measured as they will be used. Matrices that are compressed in sequence make up for the errors of those
/// before them, so that ranks which are good for matrices truncated apart may be bad there; every measurement then
/// compresses all of them in sequence, fitted to a part of the text (`SequentialTrial`). The last sequences of the
/// text, which that part leaves out, say how far the predictions move.
///
/// - Cost: for every measurement, in sequence what a compression costs on as much text; apart, truncating what changed.
struct AllocationSearch {
    let curves: AllocationCurves
    let matrices: [RankAllocation.Matrix]
    let text: SequenceSource
    let inventory: OutputInventory
    let plan: ([Int?]) throws -> CompressionPlan

    /// Sequences that predictions are measured on: the last.
    private static let measured = 16
    /// Of the others, those that matrices are fitted to in sequence: the first.
    private static let fitted = 64

    /// nil where the search has no start.
    func ranks(within budget: Int) throws -> [Int?]? {
        let request = curves.request, evaluations = request.allocation.searchEvaluations
        let measure = try measurement()
        curves.progress.begin(ProgressStage("search", total: evaluations, unit: .items("measurements")))
        defer { curves.progress.end() }
        let found = try RankSearch(matrices, within: budget).run(evaluations: evaluations) { ranks in
            try curves.interruption.check()
            defer { curves.progress.advance(by: 1, "ranks") }
            // Forms of equal numbers may differ in positions, which bytes count.
            if case .bytes(let limit) = request.target {
                guard try inventory.fileBytes(of: try plan(ranks), .largest) <= limit else { return nil }
            }
            return try measure(ranks)
        }
        if let found {
            let (before, after) = (Quantity.significant(found.first, 3), Quantity.significant(found.best, 3))
            curves.progress.log(
                .notice, "divergence on the search text: \(before) at the greedy ranks, \(after) at those found")
        }
        return found?.ranks
    }

    private func measurement() throws -> ([Int?]) throws -> [Double] {
        let dense = try Model(curves.checkpoint, library: MethodRegistry.library)
        let all = try text.sequences(folder: curves.checkpoint.path, model: dense).sequences
        let divergence = try OutputDivergence(curves.checkpoint, dense, Array(all.suffix(Self.measured)))
        let rest = all.dropLast(Self.measured).prefix(Self.fitted)
        if curves.request.objective.text != nil {
            let trial = SequentialTrial(
                checkpoint: curves.checkpoint, objectives: curves.objectives, model: dense,
                sequences: rest.isEmpty ? all : Array(rest), interruption: curves.interruption)
            if try trial.isPossible(try plan(matrices.map { $0.curve.points.first?.rank })) {
                return { try divergence.samples(replacing: try trial.operators(of: try plan($0))) }
            }
        }
        return TruncationMeasure(curves, matrices, divergence).measure
    }
}
