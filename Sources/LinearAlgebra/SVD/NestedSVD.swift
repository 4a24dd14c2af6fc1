import MatrixCore

/// A matrix decomposed once, to be truncated to several ranks.
///
/// ```swift
/// let svd = try NestedSVD(weight, ranks: [64, 128, 256])
/// let small = try svd.truncated(to: 64)
/// ```
///
/// Every truncation is, to the bit, what `TruncatedSVD` gives at that rank alone; what differs between ranks, such as
/// the precision that the error allows, is decided for each by what is known of that rank. Ranks that are given are
/// tried in Float first; ranks that are chosen by the spectrum are computed in Double, as the spectrum is.
///
/// - Cost: a decomposition at the largest rank, and for every other a copy of its columns and, in Float, the check;
///   truncations that call for Double, or for the direct route, share one more computation of their kind.
public final class NestedSVD {
    /// The ranks that were asked for, clamped to 0 … min(m, n).
    public let ranks: [Int]
    /// All min(m, n) singular values, descending, up to a power of two where A is far from the range of Float; none
    /// where the ranks were given.
    public let spectrum: [Double]
    private let route: TruncatedSVD.Route
    private let problem: SVDProblem
    private var mixed: MixedDecomposition?
    private var gram: GramDecomposition?
    private var direct: SVDProblem.DirectDecomposition?
    private let isCutOnce: Bool

    /// For ranks that are known. The randomised route is answered by the automatic one in Double.
    /// - Parameters:
    ///   - svd: how, and what for.
    ///   - isCutOnce: whether a single truncation is all that will be asked for; then less is kept.
    public init(
        _ a: MatrixOperand, by svd: TruncatedSVD = TruncatedSVD(), isCutOnce: Bool = false, ranks: [Int]
    ) throws {
        route = svd.route
        self.isCutOnce = isCutOnce
        problem = try SVDProblem(a)
        let shortSide = problem.shortSide
        self.ranks = ranks.map { min(max($0, 0), shortSide) }
        spectrum = []
        if route == .automatic, shortSide >= svd.smallestMixedSide {
            mixed = try problem.mixedDecomposition(ranks: self.ranks, purpose: svd.purpose)
        }
    }

    /// For ranks that follow from the spectrum.
    /// - Parameters:
    ///   - svd: how.
    ///   - isCutOnce: whether a single truncation is all that will be asked for; then less is kept.
    ///   - choosingRanks: gets the spectrum; its errors pass through.
    /// - Throws: `LinearAlgebraError`, or what the closure throws.
    public init(
        _ a: MatrixOperand, by svd: TruncatedSVD = TruncatedSVD(), isCutOnce: Bool = false,
        choosingRanks: ([Double]) throws -> [Int]
    ) throws {
        route = svd.route
        self.isCutOnce = isCutOnce
        problem = try SVDProblem(a)
        let shortSide = problem.shortSide
        if route == .direct {
            let found = try problem.directDecomposition()
            spectrum = found.values
            ranks = try choosingRanks(found.values).map { min(max($0, 0), shortSide) }
            direct = found
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

    /// The best approximation of a rank: one of those that were given, or one up to the largest that the spectrum
    /// chose. Above min(m, n) it is that.
    public func truncated(to rank: Int) throws -> SVDResult {
        let rank = min(rank, problem.shortSide), largest = ranks.max() ?? 0
        precondition(rank <= largest, "a rank above those that were asked for")
        if let mixed, let found = problem.cut(mixed, rank: rank) { return found }
        if isCutOnce { mixed = nil }
        if route != .direct {
            let decomposition = try gram ?? problem.gramDecomposition(isCutOnce: isCutOnce) { _ in largest }
            gram = decomposition
            if let found = try problem.cut(decomposition, rank: rank, fallback: route != .gram) { return found }
        }
        let decomposition = try direct ?? problem.directDecomposition()
        if !isCutOnce { direct = decomposition }
        return problem.cut(decomposition, rank: rank)
    }
}
