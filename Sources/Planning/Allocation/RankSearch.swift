/// Ranks that a measurement likes best, found from those of water filling by a stated number of measurements.
///
/// Water filling adds up losses as if they did not meet. Here the weight of some matrices, of one kind or a single one,
/// is raised or lowered, the parameters are filled in anew, and the ranks stay where the measurement says that they are
/// better; so rank goes from many matrices to one, or back. What helped is tried again; when nothing does, the steps
/// become smaller. The order is fixed and time plays no part, so results repeat.
///
/// Of many candidates one seems better on some text by chance. A candidate is taken only where its samples are better
/// than those of the best so far by twice the standard error of their differences.
///
/// - Cost: what the measurements cost.
public struct RankSearch {
    /// What a search found.
    public struct Result: Equatable, Sendable {
        public var ranks: [Int?]
        /// What was measured at the ranks of water filling, and at those found.
        public var first: Double
        public var best: Double

        public init(ranks: [Int?], first: Double, best: Double) {
            self.ranks = ranks
            self.first = first
            self.best = best
        }
    }

    private let matrices: [RankAllocation.Matrix]
    private let parameters: Int
    /// Matrices whose weights move together.
    private let groups: [[Int]]

    /// - Parameter parameters: what the matrices may take together.
    public init(_ matrices: [RankAllocation.Matrix], within parameters: Int) {
        self.matrices = matrices
        self.parameters = parameters
        let kinds = Dictionary(grouping: matrices.indices) { matrices[$0].kind }
        let together = kinds.sorted { $0.key < $1.key }.map(\.value)
        groups = together.filter { $0.count > 1 && $0.count < matrices.count } + matrices.indices.map { [$0] }
    }

    /// A step multiplies or divides weights by this at first.
    private static let firstStep = 2.0
    /// Steps below this change no rank worth measuring.
    private static let leastStep = 1.05

    /// - Parameters:
    ///   - evaluations: measurements at most, the first included.
    ///   - measure: samples of what should be small, the same ones every time; nil where ranks are out of the question.
    /// - Returns: nil if not even the smallest ranks fit, or those of water filling are out of the question.
    public func run(evaluations: Int, measure: ([Int?]) throws -> [Double]?) rethrows -> Result? {
        var weights = [Double](repeating: 1, count: matrices.count)
        guard let start = ranks(weights), let first = try measure(start) else { return nil }
        var result = Result(ranks: start, first: Self.mean(first), best: Self.mean(first))
        var best = first
        var left = evaluations - 1
        var seen: Set<[Int?]> = [start]
        var step = Self.firstStep
        while left > 0, step > Self.leastStep {
            var isBetter = false
            for group in groups {
                for factor in [step, 1 / step] {
                    while left > 0 {
                        var moved = weights
                        for index in group { moved[index] *= factor }
                        guard let candidate = ranks(moved), seen.insert(candidate).inserted else { break }
                        left -= 1
                        guard let found = try measure(candidate), Self.isBetter(found, best) else { break }
                        result.ranks = candidate
                        result.best = Self.mean(found)
                        best = found
                        weights = moved
                        isBetter = true
                    }
                }
            }
            if !isBetter { step = step.squareRoot() }
        }
        return result
    }

    private static func mean(_ samples: [Double]) -> Double {
        samples.reduce(0, +) / Double(max(samples.count, 1))
    }

    /// Standard errors by which differences must be below zero.
    private static let certainty = 2.0

    private static func isBetter(_ found: [Double], _ best: [Double]) -> Bool {
        let differences = zip(found, best).map { $0 - $1 }
        let mean = mean(differences), count = Double(differences.count)
        guard count > 1 else { return mean < 0 }
        let squares = differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return mean < -certainty * (squares / (count * (count - 1))).squareRoot()
    }

    private func ranks(_ weights: [Double]) -> [Int?]? {
        let weighted = zip(matrices, weights).map {
            RankAllocation.Matrix(curve: $0.curve, kind: $0.kind, sensitivity: $0.sensitivity * $1)
        }
        return RankAllocation(weighted, rule: .greedy).ranks(within: parameters)
    }
}
