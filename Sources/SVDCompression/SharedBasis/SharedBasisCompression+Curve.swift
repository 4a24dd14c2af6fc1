import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// What the members of a group lose in a basis of every rank.
///
/// Bases of the SVD of the stack are nested, so one decomposition has all of them. With its coefficients fitted, a
/// member loses in its own metric what of L_oᵀ T L_i lies outside of the rows of B_r L_i:
///
///     loss_l(r) = ‖L_oᵀ T L_i‖² − Σ_{i ≤ r} ‖L_oᵀ T L_i q_i‖²,
///
/// with q_1 … q_r the rows of B_r L_i made orthonormal in order.
///
/// That is exact, and where all members read the same it is the tail of the spectrum. A step of the basis
/// (`SharedBasisSweep`) lowers it further, by the less the nearer the members' inputs are.
///
/// - Cost: the decomposition at the largest rank r, and r·n² + m·n·r operations for each member.
extension SharedBasisCompression {
    func curve(of group: [CompressionTask]) throws -> GroupLossCurve {
        let members = group.map(\.member)
        try check(members)
        let rule = rule(for: members)
        let dense = members.reduce(0) { $0 + $1.parameters }
        let ranks = stride(from: rankMultiple, to: min(rule.rows, rule.columns), by: rankMultiple)
            .prefix { rule.saves($0) && rule.numbers($0) < dense }
        let problem = try SharedBasisProblem(group)
        let svd = try problem.decompose { try TruncatedSVD(route: route).decompose($0, rank: max(1, ranks.last ?? 1)) }
        let rows = problem.basis(of: svd, rank: svd.rank)
        let captured = try group.map { try Self.captured(by: rows, $0.objective) }
        let points = ranks.map { rank in
            LossCurve.Point(
                rank: rank, parameters: rule.numbers(rank), loss: captured.reduce(0) { $0 + $1.loss(rank) })
        }
        let totals = captured.map(\.total)
        return GroupLossCurve(
            joint: LossCurve(
                points: Array(points), denseParameters: dense, squaredSpectrum: svd.singularValues.map { $0 * $0 },
                total: totals.reduce(0, +)),
            losses: ranks.map { rank in captured.map { $0.loss(rank) } }, totals: totals)
    }

    /// What of a member lies in the rows of the basis, one after the other.
    private struct Captured {
        /// ‖L_oᵀ T L_i‖².
        let total: Double
        /// Sums of ‖L_oᵀ T L_i q_i‖² over the first rows, from none to all.
        let sums: [Double]

        func loss(_ rank: Int) -> Double { max(0, total - sums[min(rank, sums.count - 1)]) }
    }

    private static func captured(by rows: Matrix, _ objective: Objective) throws -> Captured {
        let basis = objective.inputs.weighted(MatrixOperand(rows))  // B L_i (r × n)
        let weighted = objective.inputs.weighted(objective.target)
        let target = objective.outputs.weighted(weighted.transposed).transposed  // L_oᵀ T L_i (m × n)
        var gram = Matrix64(uninitializedRows: basis.rows, columns: basis.rows)
        multiplyByTranspose(basis, into: gram.mutableView())
        let lengths = (0..<basis.rows).map { gram[$0, $0] > 0 ? gram[$0, $0].squareRoot() : 1 }
        let unit = Matrix64(rows: gram.rows, columns: gram.columns) {
            $0 == $1 && gram[$0, $1] == 0 ? 1 : gram[$0, $1] / (lengths[$0] * lengths[$1])
        }
        var shares = Matrix64(uninitializedRows: basis.rows, columns: target.rows)  // Q (L_oᵀ T L_i)ᵀ
        let view = shares.mutableView()
        multiply(basis, target.transposed, into: view)
        for row in 0..<view.rows {
            for column in 0..<view.columns { view[row, column] /= lengths[row] }
        }
        solveTriangular(try Cholesky(unit).l.view, .lower, into: view)
        var sums = [0.0]
        for row in 0..<view.rows {
            sums.append((0..<view.columns).reduce(sums[row]) { $0 + view[row, $1] * view[row, $1] })
        }
        return Captured(total: sumOfSquares(target), sums: sums)
    }
}
