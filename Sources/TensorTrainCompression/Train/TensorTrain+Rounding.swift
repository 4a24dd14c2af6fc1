import Kernels
import LinearAlgebra
import MatrixCore

extension TensorTrain {
    /// The train with smaller ranks (TT rounding), without forming W'.
    ///
    /// A sweep of QR factorisations from the right makes all cores but the first orthonormal, so that the norm of the
    /// train is that of its first core; a sweep of truncated SVDs from the left then cuts every bond as
    /// `TensorTrainSVD` would cut the whole tensor.
    ///
    /// - Cost: O(Σ r_(k−1) s_k r_k · max(r_(k−1), r_k)).
    /// - Source: Oseledets, SIAM J. Sci. Comput. 33 (2011), algorithm 2.
    public func rounded(
        _ accuracy: TrainAccuracy, route: TruncatedSVD.Route = .automatic
    ) throws -> (train: TensorTrain, evidence: TrainEvidence) {
        var cores = try rightOrthonormal().cores
        var evidence = TrainEvidence(norm: sumOfSquares(MatrixOperand(cores[0])).squareRoot())
        for bond in 0..<(modes.order - 1) {
            let limit = min(cores[bond].rows, cores[bond].columns)
            let allowance = BondAllowance(accuracy, bond: bond, of: modes.order - 1, evidence)
            let svd = try allowance.cut(cores[bond].view, limit: limit, by: TruncatedSVD(route: route))
            evidence.cuts.append(svd.evidence.truncationError)
            if svd.evidence.solver != .gram { evidence.solver = svd.evidence.solver }
            let next = Self.wide(cores[bond + 1], rank: cores[bond].columns)
            cores[bond] = svd.u
            cores[bond + 1] = Self.product(svd.scaledRight(), next, columns: cores[bond + 1].columns)
        }
        return (TensorTrain(modes: modes, cores: cores), evidence)
    }

    /// The same matrix with all cores but the first having orthonormal rows as (r × (s r')). Ranks that the unfoldings
    /// cannot need become smaller.
    func rightOrthonormal() throws(LinearAlgebraError) -> TensorTrain {
        var cores = cores
        for bond in stride(from: modes.order - 1, to: 0, by: -1) { try Self.orthonormaliseRight(&cores, bond) }
        return TensorTrain(modes: modes, cores: cores)
    }

    /// Makes core `core` orthonormal from the right; the core before it takes what that leaves: Gᵀ = Q R, G = Rᵀ Qᵀ.
    static func orthonormaliseRight(_ cores: inout [Matrix], _ core: Int) throws(LinearAlgebraError) {
        let rank = cores[core - 1].columns
        let columns = cores[core].columns
        let qr = try HouseholderQR(wide(cores[core], rank: rank).transposed)
        var rows = Matrix(uninitializedRows: qr.size, columns: cores[core].count / rank)
        convert(MatrixOperand(qr.thinQ().view.transposed), into: MutableMatrixOperand(rows.mutableView()))
        var before = Matrix(uninitializedRows: cores[core - 1].rows, columns: qr.size)
        multiply(MatrixOperand(cores[core - 1]), MatrixOperand(qr.r.view.transposed), into: before.mutableView())
        cores[core] = rows.reshaped(rows: rows.count / columns, columns: columns)
        cores[core - 1] = before
    }

    /// Makes core `core` orthonormal from the left; the core behind it takes what that leaves: G = Q R.
    static func orthonormaliseLeft(_ cores: inout [Matrix], _ core: Int) throws(LinearAlgebraError) {
        let next = wide(cores[core + 1], rank: cores[core].columns)
        let qr = try HouseholderQR(cores[core].view)
        cores[core] = qr.thinQ()
        cores[core + 1] = product(qr.r, next, columns: cores[core + 1].columns)
    }

    /// factor · core, as a core with the given number of columns.
    static func product(_ factor: Matrix, _ core: MatrixView<Float>, columns: Int) -> Matrix {
        var result = Matrix(uninitializedRows: factor.rows, columns: core.columns)
        multiply(MatrixOperand(factor), MatrixOperand(core), into: result.mutableView())
        return result.reshaped(rows: result.count / columns, columns: columns)
    }
}
