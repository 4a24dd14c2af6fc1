import Kernels
import LinearAlgebra
import MatrixCore

/// Tucker decomposition of a stack: T ≈ C ×_members U₁ ×_rows U₂ ×_columns U₃ with orthonormal factors.
///
/// - `hosvd`: each factor holds the leading singular vectors of its unfolding of T; the squared error is at most the
///   sum of what the modes leave out, so at most √d times the least one for d compressed modes.
/// - `st-hosvd`: the same with every mode contracted before the next is looked at, shortest first: the same bound, and
///   each step works on less.
/// - `hooi`: from there, each factor in turn becomes the best one for the others as they are. The error never grows; it
///   ends after `sweeps` rounds, or when one gains less than `tolerance` of the error.
///
/// A mode whose rank is its length has no factor and takes no part.
///
/// - Cost of a sweep: `count`·r for the first contraction of each mode and a Gram matrix of what is left.
/// - Source: De Lathauwer, De Moor and Vandewalle 2000 (HOSVD and HOOI); Vannieuwenhoven, Vandebril and Meerbergen 2012
///   (ST-HOSVD).
struct TuckerDecomposition {
    enum Algorithm: String, Sendable, CaseIterable {
        case hosvd
        case sequential = "st-hosvd"
        case hooi
    }

    static let defaultSweeps = 4

    var algorithm = Algorithm.hooi
    var sweeps = Self.defaultSweeps
    /// Share of the error that a sweep must gain for another to follow.
    var tolerance = 1e-4
    var route = TruncatedSVD.Route.automatic

    struct Result {
        /// Orthonormal factors (size × rank), by mode; none where the mode is kept whole.
        var factors: [TuckerMode: Matrix]
        var core: TuckerTensor
        /// ‖C‖² after the start and after every sweep; never falls.
        var captured: [Double]
        /// Modes in the order they were updated.
        var order: [TuckerMode]
        /// The singular values of the unfoldings that the factors were first taken from.
        var spectra: [TuckerMode: [Double]]
    }

    /// - Parameter ranks: within the bonds of the stack.
    func decompose(_ tensor: TuckerTensor, _ ranks: TuckerRanks) throws(LinearAlgebraError) -> Result {
        let order = TuckerMode.allCases.filter { ranks[$0] < tensor.size(of: $0) }
            .sorted { (tensor.size(of: $0), $0.rawValue) < (tensor.size(of: $1), $1.rawValue) }
        var result = try start(tensor, ranks, order)
        // Two modes of a matrix: the sequential form is the singular value decomposition already.
        let isMatrix = tensor.members * tensor.heads == 1
        guard algorithm == .hooi, order.count > 1, !isMatrix else { return result }
        let whole = sumOfSquares(MatrixOperand(tensor.elements))
        for _ in 0..<sweeps {
            let before = result
            try sweep(tensor, ranks, &result)
            let gain = result.captured[result.captured.count - 1] - result.captured[result.captured.count - 2]
            if gain < 0 {
                // Rounding of a converged iteration.
                return before
            }
            if gain <= 2 * tolerance * (whole - result.captured[result.captured.count - 1]) { break }
        }
        return result
    }

    private func start(
        _ tensor: TuckerTensor, _ ranks: TuckerRanks, _ order: [TuckerMode]
    ) throws(LinearAlgebraError) -> Result {
        var factors: [TuckerMode: Matrix] = [:]
        var spectra: [TuckerMode: [Double]] = [:]
        var core = tensor
        for mode in order {
            let source = algorithm == .hosvd ? tensor : core
            let (u, spectrum) = try source.leadingVectors(mode, count: ranks[mode], route: route)
            factors[mode] = u
            spectra[mode] = spectrum
            core = core.contracted(mode, by: u)
        }
        return Result(
            factors: factors, core: core, captured: [sumOfSquares(MatrixOperand(core.elements))], order: order,
            spectra: spectra)
    }

    private func sweep(
        _ tensor: TuckerTensor, _ ranks: TuckerRanks, _ result: inout Result
    ) throws(LinearAlgebraError) {
        for mode in result.order {
            var rest = tensor
            // The mode that shrinks the stack most goes first.
            let others = result.order.filter { $0 != mode }.sorted {
                ranks[$0] * tensor.size(of: $1) < ranks[$1] * tensor.size(of: $0)
            }
            for other in others {
                if let u = result.factors[other] { rest = rest.contracted(other, by: u) }
            }
            let u = try rest.leadingVectors(mode, count: ranks[mode], route: route).vectors
            result.factors[mode] = u
            result.core = rest.contracted(mode, by: u)
        }
        result.captured.append(sumOfSquares(MatrixOperand(result.core.elements)))
    }
}
