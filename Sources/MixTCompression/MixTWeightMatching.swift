import CompressionCore
import MatrixCore

/// The branches nearest to a dense weight, in closed form.
///
/// Finds T_0 … T_(N−1) that minimise ‖W − W'‖_F over the form, for W (m × n) padded with zeros to M × K. The mean over
/// the copies outside and inside of a window is an orthogonal projection, and the projections of neighbouring windows
/// are nested, so the nearest operator is the sum of all projections minus their overlaps:
///
///     P_k = mean over a, b of W[(a, i, b), (a, j, b)]
///     T_k = N · (P_k − [k < N−1] · I_d ⊗ mean over the first bond of P_k)
///
/// An overlap is counted by both of its windows and stays with the later one. Where the weight is padded, this counts
/// the error in the padding too, which the operator drops: it is then a start for `MixTFit` and no optimum.
///
/// - Cost: N·d^(1−N) passes over W, no decomposition.
/// - Source: the operator is that of arXiv 2605.25344, which gives no formula for its weight matching; this one equals
///   least squares to machine precision (see the tests).
struct MixTWeightMatching {
    let map: MixTMap
    private var form: MixTForm { map.form }

    /// - Parameter weight: W (m × n).
    /// - Returns: T_0 … T_(N−1), each (p × q).
    func branches(of weight: MatrixOperand) -> [Matrix64] {
        let count = form.branches
        // `map` sums over d^(N−1) copies and divides by N.
        let copies = Double(form.outer(count - 1))
        return map.contract(weight).enumerated().map { k, sums in
            var branch = sums
            if k < count - 1 { subtractMeanOfFirstBond(from: &branch) }
            let scale = Double(count * count) / copies
            let values = branch.mutableView()
            for i in 0..<values.rows {
                for j in 0..<values.columns { values[i, j] *= scale }
            }
            return branch
        }
    }

    /// P ← P − I_d ⊗ mean over the first bond of P, P (p × q).
    private func subtractMeanOfFirstBond(from branch: inout Matrix64) {
        let height = form.branchRows / form.base
        let width = form.branchColumns / form.base
        let values = branch.mutableView()
        for i in 0..<height {
            for j in 0..<width {
                let sum = (0..<form.base).reduce(0.0) { $0 + values[$1 * height + i, $1 * width + j] }
                for bond in 0..<form.base { values[bond * height + i, bond * width + j] -= sum / Double(form.base) }
            }
        }
    }
}
