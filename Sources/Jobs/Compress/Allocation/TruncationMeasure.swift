import CompressionCore
import Planning

/// What the outputs of a model do when all its matrices are truncated to some ranks at once, each apart from the
/// others.
///
/// A matrix is decomposed once for all ranks that are tried, as far as memory allows that; operators of ranks that did
/// not change since the last two measurements are kept.
final class TruncationMeasure {
    private let curves: AllocationCurves
    private let matrices: [RankAllocation.Matrix]
    private let divergence: OutputDivergence
    /// Of each group, by rank, the latest last.
    private var known: [[(rank: Int, truncated: [CompressionOutcome])]]
    /// Of matrices by themselves: decompositions with the largest rank that they can be cut at.
    private var decomposed: [Int: (limit: Int, truncate: Truncation)] = [:]
    private var decomposedBytes = 0

    private typealias Truncation = (_ rank: Int) throws -> CompressionOutcome

    init(_ curves: AllocationCurves, _ matrices: [RankAllocation.Matrix], _ divergence: OutputDivergence) {
        self.curves = curves
        self.matrices = matrices
        self.divergence = divergence
        known = matrices.map { _ in [] }
    }

    /// - Parameter ranks: nil for a group that stays as it is.
    /// - Returns: as `OutputDivergence.samples`.
    func measure(_ ranks: [Int?]) throws -> [Double] {
        var replacements: [String: any LinearOperator] = [:]
        for (index, rank) in ranks.enumerated() {
            guard let rank else { continue }
            for (module, outcome) in zip(curves.groups[index], try truncated(index, rank)) {
                if case .compressed(let compressed, _) = outcome { replacements[module.name] = compressed }
            }
        }
        return try divergence.samples(replacing: replacements)
    }

    private func truncated(_ index: Int, _ rank: Int) throws -> [CompressionOutcome] {
        if let earlier = known[index].first(where: { $0.rank == rank }) { return earlier.truncated }
        let truncated = try compressed(index, rank)
        known[index] = known[index].suffix(1) + [(rank, truncated)]
        return truncated
    }

    private func compressed(_ index: Int, _ rank: Int) throws -> [CompressionOutcome] {
        let group = curves.groups[index], compressor = curves.method.compressor
        guard group.count == 1 else {
            return try compressor.compress(
                group.map(curves.task), budget: matrices[index].curve.budget(rank: rank))
        }
        if let earlier = decomposed[index], rank <= earlier.limit { return [try earlier.truncate(rank)] }
        let task = try curves.task(for: group[0])
        // A third more than is asked for: the search moves ranks by such steps.
        let limit = min(rank + (rank + 2) / 3, matrices[index].curve.points.last?.rank ?? rank)
        let truncate = compressor.truncation(of: task, upTo: limit)
        let bytes = 3 * task.member.parameters * MemoryLayout<Double>.stride
        if decomposed[index] == nil { decomposedBytes += bytes }
        if decomposedBytes <= ResourceUse.physicalBytes / 4 {
            decomposed[index] = (limit, truncate)
        } else if decomposed[index] == nil {
            decomposedBytes -= bytes
        }
        return [try truncate(rank)]
    }
}
