import CompressionCore
import Kernels
import MatrixCore

/// The branches that minimise the error in any metric, by conjugate gradients.
///
/// Minimises f(T) = ‖L_oᵀ (W − A(T)) L_i‖_F² over T = (T_0 … T_(N−1)), A the map from branches to weights
/// (`MixTMap.expand`). With H = L_oL_oᵀ and G = L_iL_iᵀ the normal equations are
///
///     Aᵀ( H A(T) G ) = Aᵀ( H W G )
///
/// Their matrix is singular, because neighbouring windows can hold the same numbers; the iteration starts at the weight
/// matching and moves in the range of the matrix only, so it needs no ridge. Each step lowers f.
///
/// - Cost: a step is a product of m·n² operations where the inputs have a Gram matrix, one of m²·n where the outputs
///   have one, and passes over W otherwise; scratch is two weights in Double.
/// - Source: Hestenes and Stiefel, "Methods of conjugate gradients", 1952, on the normal equations.
struct MixTFit {
    let map: MixTMap
    let objective: Objective
    var mostSteps = 60
    /// Ends where the gradient is this much smaller than it would be for T = 0.
    var gradientTolerance = 1e-6
    /// Ends where a step lowers f by less than this share of it.
    var leastGain = 1e-5

    struct Result {
        /// T_0 … T_(N−1), each (p × q).
        var branches: [Matrix64]
        /// f at the start and after every step.
        var losses: [Double]
        var steps: Int { losses.count - 1 }
    }

    /// - Parameter start: T_0 … T_(N−1) to improve.
    func improve(_ start: [Matrix64]) -> Result {
        var branches = start
        let error = Matrix64(subtracting: map.expand(start), from: objective.target)
        let weighted = objective.weighed(MatrixOperand(error))
        var loss = max(0, innerProduct(MatrixOperand(error), weighted))
        var losses = [loss]
        var gradient = map.contract(weighted)  // −½ of that of f
        let scale = squares(map.contract(objective.weighed(objective.target)))
        var direction = gradient
        var square = squares(gradient)
        while losses.count <= mostSteps, square > gradientTolerance * gradientTolerance * scale {
            let change = MatrixOperand(map.expand(direction))
            let response = objective.weighed(change)
            let curvature = innerProduct(change, response)
            guard curvature > 0 else { break }
            let step = square / curvature
            add(step, direction, to: &branches)
            add(-step, map.contract(response), to: &gradient)
            let gain = step * square
            loss = max(0, loss - gain)
            losses.append(loss)
            if gain <= leastGain * loss { break }
            let next = squares(gradient)
            scaleAndAdd(&direction, next / square, gradient)
            square = next
        }
        return Result(branches: branches, losses: losses)
    }

    private func squares(_ branches: [Matrix64]) -> Double {
        branches.reduce(0) { $0 + sumOfSquares(MatrixOperand($1)) }
    }

    /// y ← y + factor · x
    private func add(_ factor: Double, _ x: [Matrix64], to y: inout [Matrix64]) {
        for k in y.indices {
            let target = y[k].mutableView().base
            let source = x[k].view.base
            for i in 0..<y[k].count { target[i] += factor * source[i] }
        }
    }

    /// y ← x + factor · y
    private func scaleAndAdd(_ y: inout [Matrix64], _ factor: Double, _ x: [Matrix64]) {
        for k in y.indices {
            let target = y[k].mutableView().base
            let source = x[k].view.base
            for i in 0..<y[k].count { target[i] = source[i] + factor * target[i] }
        }
    }
}

extension Matrix64 {
    /// b − a for b of any type.
    fileprivate init(subtracting a: Matrix64, from b: MatrixOperand) {
        self.init(rows: a.rows, columns: a.columns) { b[$0, $1] - a[$0, $1] }
    }
}
