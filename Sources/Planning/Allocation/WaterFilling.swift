import CompressionCore

/// Ranks that make the weighted sum of losses least within a number of parameters.
///
/// Every matrix has points (parameters, weighted loss), the dense matrix last with loss 0. With pivot storage
/// parameters are concave in the rank, so the best next rank is not always the next one: of each matrix only the lower
/// convex hull counts. Its edges, taken in the order of loss saved per parameter, are what one Lagrange multiplier
/// gives; what is left over at the end is spent on the points between that still fit, where it saves most.
///
/// - Cost: a sort of all ranks.
public struct WaterFilling: Sendable {
    /// A matrix that takes part.
    public struct Matrix: Sendable {
        public let curve: LossCurve
        /// What a unit of loss counts.
        public let weight: Double

        public init(curve: LossCurve, weight: Double) {
            self.curve = curve
            self.weight = weight
        }
    }

    /// One way to store a matrix.
    private struct Choice: Sendable {
        /// nil: dense.
        let rank: Int?
        let parameters: Int
        let loss: Double
    }

    private struct Edge {
        let matrix: Int
        /// Index in the choices of the matrix.
        let end: Int
        let slope: Double
    }

    private let choices: [[Choice]]

    /// - Parameter matrices: each has at least one choice, if only to stay dense.
    public init(_ matrices: [Matrix]) {
        choices = matrices.map { matrix in
            matrix.curve.points.map {
                Choice(rank: $0.rank, parameters: $0.parameters, loss: matrix.weight * $0.loss)
            } + [Choice(rank: nil, parameters: matrix.curve.denseParameters, loss: 0)]
        }
    }

    /// Parameters of the smallest choices.
    public var leastParameters: Int { choices.reduce(0) { $0 + $1[0].parameters } }

    /// A rank for each matrix, nil where it stays dense; nil if not even the smallest choices fit.
    ///
    /// - Parameter start: ranks to begin with, in place of the smallest: what is left is spent as above.
    public func ranks(within parameters: Int, from start: [Int?]? = nil) -> [Int?]? {
        var current = choices.indices.map { matrix in
            start.map { ranks in choices[matrix].firstIndex { $0.rank == ranks[matrix] } ?? 0 } ?? 0
        }
        var left = parameters - choices.indices.reduce(0) { $0 + choices[$1][current[$1]].parameters }
        guard left >= 0 else { return nil }
        var blocked = [Bool](repeating: false, count: choices.count)
        for edge in edges(from: current) where !blocked[edge.matrix] {
            let cost = choices[edge.matrix][edge.end].parameters - choices[edge.matrix][current[edge.matrix]].parameters
            if cost <= left {
                left -= cost
                current[edge.matrix] = edge.end
            } else {
                // A later edge of the same matrix starts where this one ends.
                blocked[edge.matrix] = true
            }
        }
        spend(left, &current)
        return choices.indices.map { choices[$0][current[$0]].rank }
    }

    /// Sum of the weighted losses at given ranks.
    public func loss(at ranks: [Int?]) -> Double {
        choices.indices.reduce(0) { sum, matrix in
            sum + (choices[matrix].first { $0.rank == ranks[matrix] }?.loss ?? 0)
        }
    }

    /// Parameters at given ranks.
    public func parameters(at ranks: [Int?]) -> Int {
        choices.indices.reduce(0) { sum, matrix in
            sum + (choices[matrix].first { $0.rank == ranks[matrix] }?.parameters ?? 0)
        }
    }

    /// The edges of all hulls above the given choices, the steepest first; equal ones in the order of the matrices.
    private func edges(from current: [Int]) -> [Edge] {
        var edges: [Edge] = []
        for matrix in choices.indices {
            let hull = Self.hull(choices[matrix], from: current[matrix])
            for (start, end) in zip(hull, hull.dropFirst()) {
                let slope = Self.slope(choices[matrix][start], choices[matrix][end])
                edges.append(Edge(matrix: matrix, end: end, slope: slope))
            }
        }
        return edges.enumerated().sorted { ($1.element.slope, $0.offset) < ($0.element.slope, $1.offset) }
            .map(\.element)
    }

    /// Loss saved per parameter.
    private static func slope(_ start: Choice, _ end: Choice) -> Double {
        (start.loss - end.loss) / Double(end.parameters - start.parameters)
    }

    /// Indices of the lower convex hull, slopes falling.
    private static func hull(_ choices: [Choice], from first: Int) -> [Int] {
        var hull: [Int] = []
        for index in first..<choices.count {
            while hull.count >= 2,
                slope(choices[hull[hull.count - 2]], choices[hull[hull.count - 1]])
                    <= slope(choices[hull[hull.count - 1]], choices[index])
            {
                hull.removeLast()
            }
            hull.append(index)
        }
        return hull
    }

    /// Spends what is left on single matrices, each time where the largest choice that fits saves most.
    private func spend(_ parameters: Int, _ current: inout [Int]) {
        var left = parameters
        while true {
            var best: (matrix: Int, choice: Int, gain: Double)?
            for matrix in choices.indices {
                let now = choices[matrix][current[matrix]]
                guard
                    let choice = choices[matrix].indices.last(where: {
                        $0 > current[matrix] && choices[matrix][$0].parameters - now.parameters <= left
                    })
                else { continue }
                let gain = now.loss - choices[matrix][choice].loss
                if gain > best?.gain ?? -1 { best = (matrix, choice, gain) }
            }
            guard let best else { return }
            left -= choices[best.matrix][best.choice].parameters - choices[best.matrix][current[best.matrix]].parameters
            current[best.matrix] = best.choice
        }
    }
}
