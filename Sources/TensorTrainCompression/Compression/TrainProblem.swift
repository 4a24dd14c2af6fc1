import CompressionCore
import LinearAlgebra
import MatrixCore
import Safetensors

/// The approximation of a matrix by a train of given modes in the metric of an objective.
struct TrainProblem {
    let modes: TrainModes
    private let objective: Objective
    private let svd: TensorTrainSVD
    /// The target in the order of the tensor.
    private let tensor: Matrix
    /// For an objective with metrics.
    private let fit: TrainFit?
    private let bonds: Lazy<BondSpectra>

    struct Solution {
        let train: TensorTrain
        /// In the objective, before rounding.
        let relativeError: Double
        let solver: String
        /// Singular values at the bonds, in the metric of the objective as far as modes can have it.
        let spectra: [[Double]]
        var details: [(String, JSON)] = []
    }

    init(_ objective: Objective, modes: TrainModes, route: TruncatedSVD.Route) throws {
        self.modes = modes
        self.objective = objective
        svd = TensorTrainSVD(route: route)
        let tensor = InterleavedOrder(modes).tensor(of: objective.target)
        let fit = objective.isPlain ? nil : try TrainFit(objective, modes: modes)
        self.tensor = tensor
        self.fit = fit
        bonds = Lazy { try BondSpectra(tensor: fit?.target ?? tensor, modes: modes) }
    }

    /// The singular values at the bonds, in the basis in which the metrics are nearest to the identity.
    func spectra() throws -> BondSpectra { try bonds.value() }

    func solve(ranks: [Int]) throws -> Solution {
        let (train, evidence) = try svd.decompose(tensor: tensor, modes: modes, keeping: .ranks(ranks))
        guard let fit else {
            return Solution(
                train: train, relativeError: evidence.relativeError, solver: "tt-svd, \(evidence.solver.rawValue)",
                spectra: evidence.spectra)
        }
        let result = try fit.run(ranks: ranks, from: train, by: svd)
        return Solution(
            train: result.train, relativeError: result.relativeError, solver: "alternating least squares",
            spectra: result.spectra,
            details: [("passes", JSON(result.passes)), ("start_error", JSON(result.firstError))])
    }
}

/// A value that is computed when it is first asked for.
private final class Lazy<Value> {
    private let compute: () throws -> Value
    private var stored: Value?

    init(_ compute: @escaping () throws -> Value) { self.compute = compute }

    func value() throws -> Value {
        if let stored { return stored }
        let value = try compute()
        stored = value
        return value
    }
}
