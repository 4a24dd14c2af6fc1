import Kernels
import LinearAlgebra
import MatrixCore

/// How much of a tensor a train keeps.
public enum TrainAccuracy: Sendable, Equatable {
    /// These ranks on the d − 1 bonds; a bond that cannot need as much gets what it can.
    case ranks([Int])
    /// A relative error that is not exceeded, 0 or more.
    case error(Double)
}

/// How a train was cut.
public struct TrainEvidence: Sendable {
    /// ‖W‖_F.
    public internal(set) var norm: Double
    /// √Σσ² of what was cut at each bond.
    public internal(set) var cuts: [Double] = []
    /// The singular values that each bond was cut at, descending: those of the tensor as cut so far.
    public internal(set) var spectra: [[Double]] = []
    /// The solver of each bond's singular vectors, by its slowest.
    public internal(set) var solver = SVDEvidence.Solver.gram

    /// ‖W − W'‖_F. What is cut at different bonds is orthogonal, so the squares add up to the error itself.
    public var error: Double { cuts.reduce(0) { $0 + $1 * $1 }.squareRoot() }
    /// Relative; 0 for a zero matrix.
    public var relativeError: Double { norm > 0 ? error / norm : 0 }
}

/// The decomposition of a matrix into a tensor train by a sweep of truncated SVDs (TT-SVD).
///
/// At bond k, what is left of the tensor is unfolded as ((r_(k−1) s_k) × (s_(k+1) … s_d)) and cut at rank r_k; the left
/// singular vectors are core k, the rest goes on to the next bond.
///
/// - Accuracy: an error ε is divided over the bonds, (ε‖W‖)² / (d − 1) to the first; what a bond leaves over of its
///   share goes to the later ones, so no rank is above that of the textbook, which gives every bond the same share.
///   For given ranks the error is at most √(d − 1) times the best of these ranks.
/// - Cost: for bond k a truncated SVD of its unfolding (`TruncatedSVD`).
/// - Source: Oseledets, SIAM J. Sci. Comput. 33 (2011), algorithm 1; passing on unused shares is ours.
public struct TensorTrainSVD: Sendable {
    public var route: TruncatedSVD.Route

    public init(route: TruncatedSVD.Route = .automatic) {
        self.route = route
    }

    /// - Throws: `LinearAlgebraError`, `nonFinite` among them.
    public func decompose(
        _ weight: MatrixOperand, modes: TrainModes, keeping accuracy: TrainAccuracy
    ) throws -> (train: TensorTrain, evidence: TrainEvidence) {
        try decompose(tensor: InterleavedOrder(modes).tensor(of: weight), modes: modes, keeping: accuracy)
    }

    /// - Parameter tensor: the elements in the order of the tensor.
    func decompose(
        tensor: Matrix, modes: TrainModes, keeping accuracy: TrainAccuracy
    ) throws -> (train: TensorTrain, evidence: TrainEvidence) {
        var evidence = TrainEvidence(norm: sumOfSquares(MatrixOperand(tensor)).squareRoot())
        var rest = tensor
        var cores: [Matrix] = []
        var rank = 1
        for (bond, size) in modes.sizes.dropLast().enumerated() {
            let unfolding = TensorTrain.wide(rest, rank: rank * size)
            let limit = min(unfolding.rows, unfolding.columns)
            let allowance = BondAllowance(accuracy, bond: bond, of: modes.order - 1, evidence)
            let svd = try allowance.cut(unfolding, limit: limit, by: TruncatedSVD(route: route))
            evidence.cuts.append(svd.evidence.truncationError)
            evidence.spectra.append(svd.singularValues)
            if svd.evidence.solver != .gram { evidence.solver = svd.evidence.solver }
            cores.append(svd.u)
            rest = svd.scaledRight()
            rank = svd.rank
        }
        cores.append(rest.reshaped(rows: rest.count, columns: 1))
        return (TensorTrain(modes: modes, cores: cores), evidence)
    }
}

/// What one bond of a sweep may cut.
struct BondAllowance {
    private let rank: Int?
    /// Of the squared error.
    private let share: Double

    init(_ accuracy: TrainAccuracy, bond: Int, of bonds: Int, _ evidence: TrainEvidence) {
        switch accuracy {
        case .ranks(let ranks):
            precondition(ranks.count == bonds, "one rank for each bond")
            (rank, share) = (ranks[bond], 0)
        case .error(let bound):
            let allowed = bound * evidence.norm
            let left = max(0, allowed * allowed - evidence.error * evidence.error)
            (rank, share) = (nil, left / Double(bonds - bond))
        }
    }

    func cut(_ unfolding: MatrixView<Float>, limit: Int, by svd: TruncatedSVD) throws -> SVDResult {
        if let rank { return try svd.decompose(MatrixOperand(unfolding), rank: min(rank, limit)) }
        return try svd.decompose(MatrixOperand(unfolding)) { spectrum in
            max(1, Spectrum.rank(leaving: share, of: spectrum))
        }
    }
}

/// Sums over descending singular values.
enum Spectrum {
    /// Σ_{i>r} σ_i² for r = 0 … count, from the smallest value up so that small squares are not lost in a large sum.
    static func tails(_ values: [Double]) -> [Double] {
        var tails = [Double](repeating: 0, count: values.count + 1)
        for index in values.indices.reversed() { tails[index] = tails[index + 1] + values[index] * values[index] }
        return tails
    }

    /// The smallest rank whose cut is at most `squares`.
    static func rank(leaving squares: Double, of values: [Double]) -> Int {
        tails(values).firstIndex { $0 <= squares } ?? values.count
    }
}

extension SVDResult {
    /// diag(σ) Vᵀ (k × n).
    func scaledRight() -> Matrix {
        var right = Matrix(uninitializedRows: rank, columns: v.rows)
        let view = right.mutableView()
        convert(MatrixOperand(v.view.transposed), into: MutableMatrixOperand(view))
        for row in 0..<rank {
            let scale = Float(singularValues[row])
            let base = view.base + row * view.columns
            for column in 0..<view.columns { base[column] *= scale }
        }
        return right
    }
}
