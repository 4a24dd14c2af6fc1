import CompressionCore
import Kernels
import MatrixCore

@testable import MixTCompression

/// The definition, element by element, and least squares by orthogonalisation: what the fast paths are held against.
enum MixTOracle {
    /// (1/N) Σ_k I_{d^k} ⊗ T_k ⊗ I_{d^(N−1−k)}, cut to (m × n).
    static func weight(_ form: MixTForm, _ branches: [Matrix64]) -> Matrix64 {
        var padded = Matrix64(rows: form.paddedRows, columns: form.paddedColumns)
        for (k, branch) in branches.enumerated() {
            let windowed = kronecker(
                kronecker(.identity(power(form.base, k)), branch), .identity(power(form.base, form.branches - 1 - k)))
            for i in 0..<padded.rows {
                for j in 0..<padded.columns { padded[i, j] += windowed[i, j] / Double(form.branches) }
            }
        }
        return Matrix64(rows: form.rows, columns: form.columns) { padded[$0, $1] }
    }

    /// The least ‖L_oᵀ(W − W')L_i‖² over all branches.
    ///
    /// One column for every number of every branch, orthogonalised twice over; columns that the ones before them span
    /// are dropped.
    static func leastLoss(_ form: MixTForm, _ objective: Objective) -> Double {
        let kernels = VectorKernels<Double>()
        let count = form.rows * form.columns
        func vector(_ error: MatrixOperand) -> Matrix64 {
            let right = objective.inputs.weighted(error)
            let whole = objective.outputs.weighted(right.transposed).transposed
            return Matrix64(rows: 1, columns: count) { whole[$1 / form.columns, $1 % form.columns] }
        }
        var basis: [Matrix64] = []
        func removeBasis(from v: inout Matrix64) {
            let values = v.mutableView().base
            for _ in 0..<2 {
                for q in basis { kernels.add(-kernels.dot(q.view.base, values, count), q.view.base, to: values, count) }
            }
        }
        for k in 0..<form.branches {
            for place in 0..<form.branchRows * form.branchColumns {
                var branches = [Matrix64](
                    repeating: Matrix64(rows: form.branchRows, columns: form.branchColumns), count: form.branches)
                branches[k][place / form.branchColumns, place % form.branchColumns] = 1
                var column = vector(MatrixOperand(weight(form, branches)))
                let before = kernels.dot(column.view.base, column.view.base, count)
                removeBasis(from: &column)
                let norm = kernels.dot(column.view.base, column.view.base, count)
                guard norm > 1e-18 * before else { continue }
                let values = column.mutableView().base
                for i in 0..<count { values[i] /= norm.squareRoot() }
                basis.append(column)
            }
        }
        var rest = vector(objective.target)
        removeBasis(from: &rest)
        return kernels.dot(rest.view.base, rest.view.base, count)
    }

    static func loss(_ form: MixTForm, _ objective: Objective, _ branches: [Matrix64]) -> Double {
        let found = weight(form, branches)
        let error = Matrix64(rows: form.rows, columns: form.columns) { objective.target[$0, $1] - found[$0, $1] }
        return objective.squaredNorm(of: MatrixOperand(error))
    }

    static func randomBranches(_ form: MixTForm, seed: UInt64 = 1) -> [Matrix64] {
        (0..<form.branches).map {
            CounterRandom(seed: seed + UInt64($0)).normalMatrix(rows: form.branchRows, columns: form.branchColumns)
        }
    }

    private static func kronecker(_ a: Matrix64, _ b: Matrix64) -> Matrix64 {
        Matrix64(rows: a.rows * b.rows, columns: a.columns * b.columns) {
            a[$0 / b.rows, $1 / b.columns] * b[$0 % b.rows, $1 % b.columns]
        }
    }

    private static func power(_ base: Int, _ exponent: Int) -> Int { (0..<exponent).reduce(1) { p, _ in p * base } }
}
