import MatrixCore

/// A matrix decomposed once, to be truncated to several ranks.
///
/// ```swift
/// let svd = try NestedSVD(weight, route: .automatic) { spectrum in [64, 128, 256] }
/// let small = try svd.truncated(to: 64)
/// ```
///
/// Every truncation is, to the bit, what `TruncatedSVD.decompose(_:choosingRank:)` gives at that rank alone; what differs
/// between ranks, such as the precision that the error allows, is decided for each.
///
/// - Cost: a decomposition at the largest rank, and a copy of the columns for every other; truncations that call for
///   another precision, or for the direct route, share one more computation of their kind. The randomised route depends
///   on the rank and decomposes for each.
public final class NestedSVD {
    /// The ranks that were asked for, clamped to 0 … min(m, n).
    public let ranks: [Int]
    /// All min(m, n) singular values, descending, up to a power of two where A is far from the range of Float.
    public let spectrum: [Double]
    private let route: TruncatedSVD.Route
    private let problem: SVDProblem
    private let gram: GramDecomposition?
    private var direct: SVDProblem.DirectDecomposition?
    private let isCutOnce: Bool

    /// - Parameters:
    ///   - isCutOnce: whether a single truncation is all that will be asked for; then less is kept.
    ///   - choosingRanks: gets the spectrum; its errors pass through.
    /// - Throws: `LinearAlgebraError`, or what the closure throws.
    public init(
        _ a: MatrixOperand, route: TruncatedSVD.Route = .automatic, isCutOnce: Bool = false,
        choosingRanks: ([Double]) throws -> [Int]
    ) throws {
        self.route = route
        self.isCutOnce = isCutOnce
        problem = try SVDProblem(a)
        let shortSide = problem.shortSide
        if route == .direct {
            let found = try problem.directDecomposition()
            spectrum = found.values
            ranks = try choosingRanks(found.values).map { min(max($0, 0), shortSide) }
            direct = found
            gram = nil
        } else {
            var chosen: [Int] = []
            let found = try problem.gramDecomposition(isCutOnce: isCutOnce) { values in
                chosen = try choosingRanks(values).map { min(max($0, 0), shortSide) }
                return chosen.max() ?? 0
            }
            spectrum = found.values
            ranks = chosen
            gram = found
        }
    }

    /// The best approximation of a rank, which is at most the largest that was asked for.
    public func truncated(to rank: Int) throws -> SVDResult {
        precondition(rank <= ranks.max() ?? 0, "a rank above those that were asked for")
        if let gram, let found = try problem.cut(gram, rank: rank, fallback: route != .gram) { return found }
        let decomposition = try direct ?? problem.directDecomposition()
        if !isCutOnce { direct = decomposition }
        return problem.cut(decomposition, rank: rank)
    }
}
