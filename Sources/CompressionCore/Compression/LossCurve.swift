/// What a matrix loses at every size: known at once from its spectrum.
public struct LossCurve: Sendable {
    public struct Point: Sendable, Equatable {
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

    /// Ascending in rank and in parameters, all of fewer than the form the matrix is stored in; empty where nothing shrinks.
    public let points: [Point]
    /// Numbers of the form that the matrix is stored in, usually dense, whose loss is 0.
    public let denseParameters: Int
    /// σ_i², descending, in the metric of the objective.
    public let squaredSpectrum: [Double]

    public init(points: [Point], denseParameters: Int, squaredSpectrum: [Double]) {
        self.points = points
        self.denseParameters = denseParameters
        self.squaredSpectrum = squaredSpectrum
    }

    /// Squared norm of the target in the metric: the loss of rank 0.
    public var total: Double { squaredSpectrum.reversed().reduce(0, +) }
}
