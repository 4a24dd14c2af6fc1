import CompressionCore
import Kernels
import LinearAlgebra

/// A weighted problem, decomposed once for all sizes that are asked for.
///
/// A rank that shapes do not tell follows from the spectrum, which takes a decomposition in Double: sizes and
/// accuracies that are asked for together have one each. A rank above all that were asked for, which the search for an
/// error bound may need, decomposes again; so does every rank of the randomised route.
final class SharedTruncation {
    /// A size as a compressor sees it.
    struct Request {
        let rule: RankRule
        let budget: Budget
    }

    /// Whitened when it is first needed.
    private(set) lazy var problem = WhitenedProblem(objective)
    /// ‖T‖_F².
    private(set) lazy var squaredNorm = sumOfSquares(objective.target)
    let objective: Objective
    private let method: TruncatedSVD
    /// By which the spectrum was found.
    private var explored: NestedTruncation?
    /// Of the sizes, and of the accuracies.
    private var sized: NestedTruncation?
    private var accurate: NestedTruncation?
    private let requests: [Request]
    /// The pivot rows of the largest rank so far, which are those of smaller ones too.
    let choices = NestedPivots()

    init(_ objective: Objective, route: TruncatedSVD.Route, _ requests: [Request]) {
        self.objective = objective
        // Without a metric the factors are A V and V; with one they are a projection on U, which must be orthonormal.
        method = TruncatedSVD(route: route, purpose: objective.isPlain ? .truncation : .singularVectors)
        self.requests = requests
    }

    /// All singular values. Later truncations to the rank that the closure makes of them, or a lower one, need no
    /// further decomposition.
    ///
    /// - Parameter choosingRank: gets the values that are not zero for certain, up to a power of two.
    func spectrum(choosingRank: ([Double]) throws -> Int?) throws -> [Double] {
        let found = try problem.nested { matrix in
            try NestedSVD(matrix, by: method) { spectrum in
                let rank = try choosingRank(spectrum) ?? 0
                if case .randomized = method.route { return [0] }
                return [0, rank]
            }
        }
        explored = found
        return try found.truncated(to: 0).singularValues
    }

    /// The truncation for a size, and its rank, even above min(m, n); one that saves nothing is not computed.
    func truncation(for request: Request) throws -> (svd: SVDResult, rank: Int) {
        guard let rank = request.rule.rank(for: request.budget) else { return try accurateTruncation(for: request) }
        if case .randomized = method.route {
            return (try problem.decompose { try method.decompose($0, rank: rank) }, rank)
        }
        let computed = request.computedSize ?? 0
        if let explored, computed <= explored.svd.ranks.max() ?? 0 {
            return (try explored.truncated(to: computed), rank)
        }
        let decomposition = try sized ?? decomposed(ranks: requests.compactMap(\.computedSize))
        sized = decomposition
        return (try decomposition.truncated(to: computed), rank)
    }

    private func accurateTruncation(for request: Request) throws -> (svd: SVDResult, rank: Int) {
        var decomposition = try accurate ?? decomposed(requests.filter { $0.computedSize == nil })
        var rank = request.rank(decomposition.svd.spectrum)
        if rank.computed > decomposition.svd.ranks.max() ?? 0 {
            decomposition = try decomposed([request])
            rank = request.rank(decomposition.svd.spectrum)
        }
        if accurate == nil { accurate = decomposition }
        return (try decomposition.truncated(to: rank.computed), rank.chosen)
    }

    private func decomposed(ranks: [Int]) throws -> NestedTruncation {
        try problem.nested { try NestedSVD($0, by: method, isCutOnce: ranks.count == 1, ranks: ranks) }
    }

    private func decomposed(_ requests: [Request]) throws -> NestedTruncation {
        try problem.nested { matrix in
            try NestedSVD(matrix, by: method, isCutOnce: requests.count == 1) { spectrum in
                requests.map { $0.rank(spectrum).computed }
            }
        }
    }
}

extension SharedTruncation.Request {
    /// The rank to compute where the shape tells it: none where it saves nothing; nil where the spectrum tells it.
    var computedSize: Int? {
        rule.rank(for: budget).map { rule.saves($0) ? $0 : 0 }
    }

    /// The rank that an accuracy needs, and that to compute: none where it saves nothing.
    func rank(_ spectrum: [Double]) -> (chosen: Int, computed: Int) {
        let chosen = rule.rank(for: budget, spectrum: spectrum)
        return (chosen, rule.saves(chosen) ? min(chosen, spectrum.count) : 0)
    }
}
