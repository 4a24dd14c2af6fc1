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
    private let bonds: Lazy<BondSpectra>

    struct Solution {
        let train: TensorTrain
        /// In the objective, before rounding.
        let relativeError: Double
        let solver: String
        var details: [(String, JSON)] = []
    }

    init(_ objective: Objective, modes: TrainModes, route: TruncatedSVD.Route) throws {
        self.modes = modes
        self.objective = objective
        svd = TensorTrainSVD(route: route)
        let tensor = InterleavedOrder(modes).tensor(of: objective.target)
        self.tensor = tensor
        bonds = Lazy { try BondSpectra(tensor: tensor, modes: modes) }
    }

    var shift: Double? { nil }

    /// The singular values at the bonds.
    func spectra() throws -> BondSpectra { try bonds.value() }

    func solve(ranks: [Int]) throws -> Solution {
        let (train, evidence) = try svd.decompose(tensor: tensor, modes: modes, keeping: .ranks(ranks))
        return Solution(train: train, relativeError: evidence.relativeError, solver: "tt-svd, \(evidence.solver.rawValue)")
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
