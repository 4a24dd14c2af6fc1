import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// The core that fits the weights best in their true metrics, for given factors.
///
/// Minimises Σ_k ‖L_kᵀ (S_k − (I ⊗ U₂) (Σ_a u_ka C_a) U₃ᵀ) R_k‖² over C: after factors were rounded to their type, and
/// where the members have metrics of their own. It is a linear least-squares problem with
///
///     Σ_k u_ka · Q_k (Σ_b u_kb C_b) P_k = Σ_k u_ka · B_k    for every a,
///     Q_k = (I ⊗ U₂)ᵀ L_kL_kᵀ (I ⊗ U₂),   P_k = U₃ᵀ R_kR_kᵀ U₃,   B_k = (I ⊗ U₂)ᵀ L_kL_kᵀ S_k R_kR_kᵀ U₃.
///
/// - Method: members that have a core of their own: C_k = Q_k⁻¹ B_k P_k⁻¹. Members that share cores: conjugate
///   gradients from the core as it is, preconditioned by (U₁ᵀU₁)⁻¹ ⊗ Q̄⁻¹ ⊗ P̄⁻¹ with the means over the members,
///   which is the solution in one step where all metrics are the same; the error never grows.
/// - Cost: for every member the two products with its weight, and with a Gram matrix one product of its size.
struct TuckerCoreFit {
    let layout: TuckerLayout
    /// As stored.
    let factors: TuckerFactors

    static let steps = 30
    /// Residual, as a share of the first one, at which conjugate gradients end.
    static let tolerance = 1e-9

    /// The equations of one member; a side that needs no solution is nil.
    private struct Member {
        /// Q (heads·r₂ × heads·r₂).
        var q: Matrix64?
        /// P (r₃ × r₃).
        var p: Matrix64?
        /// B (heads·r₂ × r₃).
        var b: Matrix64
    }

    private var height: Int { layout.heads * factors.core.rows }

    /// The fitted core; the given one where the factors leave the problem without a unique solution.
    func core(for slices: [TuckerSlice]) -> TuckerTensor {
        let members = equations(slices)
        let fitted: Matrix64?
        if let u = factors.members {
            fitted = shared(members, Matrix64(u))
        } else {
            fitted = separate(members)
        }
        guard let fitted else { return factors.core }
        return TuckerTensor(
            members: factors.core.members, heads: layout.heads, rows: factors.core.rows,
            elements: Matrix(rounding: fitted))
    }

    private func equations(_ slices: [TuckerSlice]) -> [Member] {
        // A mode that is kept whole is solved by the weights themselves, unless members with metrics share a core.
        let left = factors.rows == nil && isIndifferent(slices.map(\.rowMetric)) ? nil : expandedRows()
        let right = factors.columns == nil && isIndifferent(slices.map(\.columnMetric))
            ? nil : factors.columns.map { Matrix64($0) } ?? .identity(layout.columns)
        var members: [Member] = []
        var weightedRight: Matrix64?  // (U₃ᵀRRᵀ, r₃ × columns)
        for (index, slice) in slices.enumerated() {
            let before = index > 0 ? slices[index - 1] : nil
            var q = members.last?.q, p = members.last?.p
            if let right, before?.columnMetric.isSame(as: slice.columnMetric) != true {
                let weighted = slice.columnMetric.applied(to: Matrix64(right.view.transposed))
                p = Matrix64(product: MatrixOperand(weighted), MatrixOperand(right))
                weightedRight = weighted
            }
            if let left, before?.rowMetric.isSame(as: slice.rowMetric) != true {
                let weighted = slice.rowMetric.applied(to: left)
                q = Matrix64(product: MatrixOperand(weighted), MatrixOperand(left).transposed)
            }
            let projected = weightedRight.map { Matrix64(product: slice.target, MatrixOperand($0).transposed) }
                ?? Matrix64(slice.target)
            let b = left.map { left in
                let weighted = slice.rowMetric.applied(to: Matrix64(projected.view.transposed))  // (r₃ × heads·rows)
                return Matrix64(product: MatrixOperand(left), MatrixOperand(weighted).transposed)
            }
            members.append(Member(q: q, p: p, b: b ?? projected))
        }
        return members
    }

    /// Whether the metrics of a mode without a factor have no say in the best core.
    private func isIndifferent(_ metrics: [Metric]) -> Bool {
        factors.members == nil || metrics.allSatisfy { if case .identity = $0 { true } else { false } }
    }

    /// (I ⊗ U₂)ᵀ (heads·r₂ × heads·rows).
    private func expandedRows() -> Matrix64 {
        guard let u = factors.rows else { return .identity(layout.heads * layout.rows) }
        var result = Matrix64(rows: height, columns: layout.heads * layout.rows)
        let view = result.mutableView()
        for head in 0..<layout.heads {
            for i in 0..<u.rows {
                for j in 0..<u.columns { view[head * u.columns + j, head * u.rows + i] = Double(u[i, j]) }
            }
        }
        return result
    }

    /// Every member for itself: C_k = Q⁻¹ B P⁻¹.
    private func separate(_ members: [Member]) -> Matrix64? {
        var result = Matrix64(uninitializedRows: members.count * height, columns: factors.core.columns)
        let target = result.mutableView()
        var q: Cholesky?, p: Cholesky?
        for (index, member) in members.enumerated() {
            let before = index > 0 ? members[index - 1] : nil
            if let matrix = member.q, before?.q != matrix {
                guard let factor = try? Cholesky(matrix) else { return nil }
                q = factor
            }
            if let matrix = member.p, before?.p != matrix {
                guard let factor = try? Cholesky(matrix) else { return nil }
                p = factor
            }
            let part = target.rows(index * height..<(index + 1) * height)
            convert(MatrixOperand(member.b), into: MutableMatrixOperand(part))
            q?.solve(into: part)
            p?.solve(into: part.transposed)
        }
        return result
    }

    /// Preconditioned conjugate gradients; u is U₁ (members × r₁), the core stands as (r₁·heads·r₂ × r₃).
    private func shared(_ members: [Member], _ u: Matrix64) -> Matrix64? {
        guard let preconditioner = Preconditioner(u, members) else { return nil }
        var x = Matrix64(factors.core.elements)
        var residual = mixed(members.map(\.b), u)
        residual.add(applied(members, u, to: x), scaledBy: -1)
        var z = preconditioner.applied(to: residual)
        var direction = z
        var energy = residual.dot(z)
        let first = energy
        guard first > 0, first.isFinite else { return nil }
        for _ in 0..<Self.steps {
            let image = applied(members, u, to: direction)
            let curvature = direction.dot(image)
            guard curvature > 0 else { break }
            x.add(direction, scaledBy: energy / curvature)
            residual.add(image, scaledBy: -energy / curvature)
            z = preconditioner.applied(to: residual)
            let next = residual.dot(z)
            guard next > Self.tolerance * Self.tolerance * first else { break }
            var turned = z
            turned.add(direction, scaledBy: next / energy)
            direction = turned
            energy = next
        }
        return x
    }

    /// Σ_k u_ka · Q_k (Σ_b u_kb x_b) P_k for every a.
    private func applied(_ members: [Member], _ u: Matrix64, to x: Matrix64) -> Matrix64 {
        let products = members.enumerated().map { index, member in
            var core = Matrix64(rows: height, columns: x.columns)
            for b in 0..<u.columns { core.add(x.view.rows(b * height..<(b + 1) * height), scaledBy: u[index, b]) }
            let left = member.q.map { Matrix64(product: MatrixOperand($0), MatrixOperand(core)) } ?? core
            return member.p.map { Matrix64(product: MatrixOperand(left), MatrixOperand($0)) } ?? left
        }
        return mixed(products, u)
    }

    /// Σ_k u_ka · m_k for every a, one below the other.
    private func mixed(_ m: [Matrix64], _ u: Matrix64) -> Matrix64 {
        var result = Matrix64(rows: u.columns * height, columns: factors.core.columns)
        let target = result.mutableView()
        for a in 0..<u.columns {
            for (index, matrix) in m.enumerated() {
                target.rows(a * height..<(a + 1) * height).add(matrix.view, scaledBy: u[index, a])
            }
        }
        return result
    }

    /// (U₁ᵀU₁)⁻¹ ⊗ Q̄⁻¹ ⊗ P̄⁻¹; a side that is nil is the identity.
    private struct Preconditioner {
        let members: Cholesky
        let rows: Cholesky?
        let columns: Cholesky?

        init?(_ u: Matrix64, _ equations: [Member]) {
            var gram = Matrix64(rows: u.columns, columns: u.columns)
            multiplyByTranspose(MatrixOperand(u).transposed, into: gram.mutableView())
            do {
                members = try Cholesky(gram)
                rows = try Self.mean(equations.compactMap(\.q)).map { try Cholesky($0) }
                columns = try Self.mean(equations.compactMap(\.p)).map { try Cholesky($0) }
            } catch {
                return nil
            }
        }

        private static func mean(_ matrices: [Matrix64]) -> Matrix64? {
            guard var sum = matrices.first else { return nil }
            for matrix in matrices.dropFirst() { sum.add(matrix, scaledBy: 1) }
            let count = Double(matrices.count)
            return Matrix64(rows: sum.rows, columns: sum.columns) { sum[$0, $1] / count }
        }

        func applied(to x: Matrix64) -> Matrix64 {
            var result = x
            let view = result.mutableView()
            let height = x.rows / members.l.rows
            columns?.solve(into: view.transposed)
            for a in 0..<members.l.rows { rows?.solve(into: view.rows(a * height..<(a + 1) * height)) }
            members.solve(
                into: MutableMatrixView(
                    base: view.base, rows: members.l.rows, columns: height * x.columns, rowStride: height * x.columns,
                    owner: view.owner))
            return result
        }
    }
}

extension Matrix64 {
    mutating func add(_ other: Matrix64, scaledBy scale: Double) {
        mutableView().add(other.view, scaledBy: scale)
    }

    mutating func add(_ other: MatrixView<Double>, scaledBy scale: Double) {
        mutableView().add(other, scaledBy: scale)
    }

    /// Σ a_ij b_ij.
    func dot(_ other: Matrix64) -> Double {
        let left = view, right = other.view
        var sum = 0.0
        for i in 0..<count { sum += left.base[i] * right.base[i] }
        return sum
    }
}

extension MutableMatrixView<Double> {
    /// self ← self + scale · other
    func add(_ other: MatrixView<Double>, scaledBy scale: Double) {
        for i in 0..<rows {
            let target = base + i * rowStride, source = other.base + i * other.rowStride
            for j in 0..<columns { target[j] += scale * source[j] }
        }
    }
}
