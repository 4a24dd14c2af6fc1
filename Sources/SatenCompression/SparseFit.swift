import CompressionCore
import Kernels
import MatrixCore

/// The values of a sparse matrix of given positions that come nearest to an error in any metric.
///
/// Minimises ‖L_oᵀ (E − S) L_i‖_F² over the entries of S (m × n). In diagonal metrics these are the entries of E. With
/// a Gram matrix they also make up for what the others leave, which conjugate gradients on the entries find, scaled by
/// the diagonals of the metrics.
///
/// - Cost: a step is two products with the metrics (`Objective.weighed`); scratch is two matrices in Double.
struct SparseFit {
    let positions: SparsePositions
    let objective: Objective
    var mostSteps = 12
    /// Ends where a step lowers the error by less than this share of it.
    var leastGain = 1e-4

    /// - Parameter error: E (m × n).
    /// - Returns: one value for each position.
    func values(for error: Matrix) -> [Double] {
        var values = gather { Double(error[$0, $1]) }
        guard hasGram else { return values }
        let kept = scattered(values)
        let rest = MatrixOperand(
            Matrix64(rows: error.rows, columns: error.columns) { Double(error[$0, $1]) - kept[$0, $1] })
        let weighed = objective.weighed(rest)
        var loss = innerProduct(rest, weighed)
        var gradient = gather { weighed[$0, $1] }  // −½ of that of the error
        let scale = scale()
        var direction = product(gradient, scale)
        var square = dot(gradient, direction)
        for _ in 0..<mostSteps where square > 0 {
            let change = MatrixOperand(scattered(direction))
            let response = objective.weighed(change)
            let curvature = innerProduct(change, response)
            guard curvature > 0 else { break }
            let step = square / curvature
            add(step, direction, to: &values)
            let gain = step * square
            loss -= gain
            if gain <= leastGain * loss { break }
            add(-step, gather { response[$0, $1] }, to: &gradient)
            let preconditioned = product(gradient, scale)
            let next = dot(gradient, preconditioned)
            for entry in direction.indices {
                direction[entry] = preconditioned[entry] + next / square * direction[entry]
            }
            square = next
        }
        return values
    }

    private var hasGram: Bool {
        if case .gram = objective.inputs { return true }
        if case .gram = objective.outputs { return true }
        return false
    }

    /// 1 / (H_ii G_jj) at every position.
    private func scale() -> [Double] {
        let rowWeights = objective.outputs.featureWeights(count: positions.rows)
        let columnWeights = objective.inputs.featureWeights(count: positions.columns)
        return gather { row, column in
            let weight = rowWeights[row] * columnWeights[column]
            return weight > 0 ? 1 / weight : 0
        }
    }

    /// The elements of a matrix at the positions.
    private func gather(_ element: (_ row: Int, _ column: Int) -> Double) -> [Double] {
        var values: [Double] = []
        values.reserveCapacity(positions.count)
        for row in 0..<positions.rows {
            for entry in positions.offsets[row]..<positions.offsets[row + 1] {
                values.append(element(row, Int(positions.positions[entry])))
            }
        }
        return values
    }

    /// The matrix (m × n) with these values, and zeros elsewhere.
    private func scattered(_ values: [Double]) -> Matrix64 {
        var matrix = Matrix64(rows: positions.rows, columns: positions.columns)
        let view = matrix.mutableView()
        for row in 0..<positions.rows {
            for entry in positions.offsets[row]..<positions.offsets[row + 1] {
                view[row, Int(positions.positions[entry])] = values[entry]
            }
        }
        return matrix
    }

    private func product(_ a: [Double], _ b: [Double]) -> [Double] { a.indices.map { a[$0] * b[$0] } }

    private func dot(_ a: [Double], _ b: [Double]) -> Double { a.indices.reduce(0) { $0 + a[$1] * b[$1] } }

    /// y ← y + factor · x
    private func add(_ factor: Double, _ x: [Double], to y: inout [Double]) {
        for entry in y.indices { y[entry] += factor * x[entry] }
    }
}
