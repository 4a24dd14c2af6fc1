import CompressionCore

/// What the outputs of a model do when all its matrices are truncated to some ranks at once.
///
/// Matrices whose ranks did not change since the last two measurements are not truncated anew.
final class TruncationMeasure {
    private let names: [String]
    private let divergence: OutputDivergence
    private let truncate: (_ index: Int, _ rank: Int) throws -> (any LinearOperator)?
    /// Of each matrix, by rank, the latest last.
    private var known: [[(rank: Int, truncated: any LinearOperator)]]

    /// - Parameter truncate: a matrix, by its place in `names`, in a rank; nil where it stays dense.
    init(
        _ names: [String], _ divergence: OutputDivergence,
        truncate: @escaping (_ index: Int, _ rank: Int) throws -> (any LinearOperator)?
    ) {
        self.names = names
        self.divergence = divergence
        self.truncate = truncate
        known = names.map { _ in [] }
    }

    /// - Parameter ranks: nil for a matrix that stays as it is.
    func measure(_ ranks: [Int?]) throws -> Double {
        var replacements: [String: any LinearOperator] = [:]
        for (index, rank) in ranks.enumerated() {
            if let rank, let truncated = try truncated(index, rank) { replacements[names[index]] = truncated }
        }
        return try divergence.measure(replacing: replacements)
    }

    private func truncated(_ index: Int, _ rank: Int) throws -> (any LinearOperator)? {
        if let earlier = known[index].first(where: { $0.rank == rank }) { return earlier.truncated }
        guard let truncated = try truncate(index, rank) else { return nil }
        known[index] = known[index].suffix(1) + [(rank, truncated)]
        return truncated
    }
}
