/// What a matrix, or a group of matrices, loses at every size: known at once from its spectrum.
public struct LossCurve: Sendable {
    public struct Point: Sendable, Equatable {
        /// What a budget states for this size, see `LossCurve.budget`.
        public let rank: Int
        /// Numbers stored.
        public let parameters: Int
        /// Squared error in the metric of the objective.
        public let loss: Double

        public init(rank: Int, parameters: Int, loss: Double) {
            self.rank = rank
            self.parameters = parameters
            self.loss = loss
        }
    }

    /// Ascending in rank and in parameters, all of fewer than the form the matrix is stored in; empty where nothing
    /// shrinks.
    public let points: [Point]
    /// Numbers of the form that the matrix is stored in, usually dense, whose loss is 0.
    public let denseParameters: Int
    /// σ_i², descending, in the metric of the objective.
    public let squaredSpectrum: [Double]
    /// Squared norm of the target in the metric: the loss of rank 0.
    public let total: Double
    /// For forms of several ranks: the number of equal shares of a matrix that the ranks of the points count.
    public let shares: Int?

    /// - Parameter total: nil for the sum of the spectrum.
    public init(
        points: [Point], denseParameters: Int, squaredSpectrum: [Double], total: Double? = nil, shares: Int? = nil
    ) {
        self.points = points
        self.denseParameters = denseParameters
        self.squaredSpectrum = squaredSpectrum
        self.total = total ?? squaredSpectrum.reversed().reduce(0, +)
        self.shares = shares
    }

    /// The budget that gives the size of a point.
    public func budget(rank: Int) -> Budget {
        shares.map { .keep(Double(rank) / Double($0)) } ?? .rank(rank)
    }
}
