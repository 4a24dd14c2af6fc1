import LinearAlgebra
import MatrixCore

/// Metrics of one space beside each other: what several matrices that are compressed together have in common.
extension Metric {
    /// Mean of the eigenvalues of M.
    public func meanWeight(size: Int) -> Double {
        switch self {
        case .identity: 1
        case .diagonal(let weights): weights.reduce(0) { $0 + $1 * $1 } / Double(max(size, 1))
        case .gram(let gram): (0..<size).reduce(0) { $0 + gram.moment[$1, $1] } / Double(max(size, 1)) + gram.shift
        }
    }

    /// Whether both are the same by construction.
    public func isSame(as other: Metric) -> Bool {
        switch (self, other) {
        case (.identity, .identity): true
        case (.diagonal(let left), .diagonal(let right)): left == right
        case (.gram(let left), .gram(let right)): left === right
        default: false
        }
    }

    /// Σ weight · M over metrics of one space; the first one where all are the same.
    public static func sum(_ metrics: [Metric], weights: [Double], size: Int) throws(LinearAlgebraError) -> Metric {
        if let first = metrics.first, metrics.allSatisfy({ $0.isSame(as: first) }) { return first }
        if metrics.contains(where: { if case .gram = $0 { true } else { false } }) {
            var moment = Matrix64(rows: size, columns: size)
            for (metric, weight) in zip(metrics, weights) { metric.add(to: &moment, weight: weight) }
            return .gram(try GramMetric(moment: moment))
        }
        var squares = [Double](repeating: 0, count: size)
        for (metric, weight) in zip(metrics, weights) {
            for place in 0..<size {
                if case .diagonal(let diagonal) = metric {
                    squares[place] += weight * diagonal[place] * diagonal[place]
                } else {
                    squares[place] += weight
                }
            }
        }
        return .diagonal(squares.map { $0.squareRoot() })
    }

    private func add(to moment: inout Matrix64, weight: Double) {
        let target = moment.mutableView()
        switch self {
        case .identity:
            for i in 0..<target.rows { target[i, i] += weight }
        case .diagonal(let weights):
            for i in 0..<target.rows { target[i, i] += weight * weights[i] * weights[i] }
        case .gram(let gram):
            for i in 0..<target.rows {
                for j in 0..<target.columns { target[i, j] += weight * gram.moment[i, j] }
            }
        }
    }
}
