/// What a group of matrices that are compressed together loses at every size.
public struct GroupLossCurve: Sendable {
    /// Losses summed over the members.
    public let joint: LossCurve
    /// Squared error of each member at each point (points × members); empty where only sums are known.
    private let losses: [[Double]]
    /// Squared norms of the members' targets in their metrics.
    public let totals: [Double]

    /// - Parameters:
    ///   - losses: of each member at each point of `joint`; empty where only sums are known.
    ///   - totals: squared norms of the members' targets.
    public init(joint: LossCurve, losses: [[Double]], totals: [Double]) {
        precondition(losses.isEmpty || losses.count == joint.points.count, "losses at every point")
        self.joint = joint
        self.losses = losses
        self.totals = totals
    }

    /// The curve of Σ w_l · loss_l; in proportion to the norms of the members where their own losses are not known.
    public func weighted(by weights: [Double]) -> LossCurve {
        precondition(weights.count == totals.count, "a weight for each member")
        func sum(_ values: [Double]) -> Double { zip(values, weights).reduce(0) { $0 + $1.0 * $1.1 } }
        let total = sum(totals), plain = totals.reduce(0, +)
        let points = joint.points.indices.map { index in
            let point = joint.points[index]
            let loss = losses.isEmpty ? point.loss * (plain > 0 ? total / plain : 0) : sum(losses[index])
            return LossCurve.Point(rank: point.rank, parameters: point.parameters, loss: loss)
        }
        return LossCurve(
            points: points, denseParameters: joint.denseParameters, squaredSpectrum: joint.squaredSpectrum,
            total: total, shares: joint.shares)
    }
}
