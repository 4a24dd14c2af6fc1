import CompressionCore
import Foundation
import Kernels
import LinearAlgebra
import MatrixCore

/// The stack whose plain Tucker decomposition solves a weighted problem, and the way back to factors of the weights.
///
/// Member k stands as S_k (heads·rows × columns) and is measured by ‖L_kᵀ (S_k − S'_k) R_k‖ with its own metrics.
/// Shared factors need shared metrics, so S_k is looked at as w_k · (I ⊗ Lᵀ) S_k R with
///
///     R Rᵀ = Σ_k mean(L_kL_kᵀ) · R_kR_kᵀ,    L Lᵀ = Σ_k mean(R_kR_kᵀ) · (mean diagonal block of L_kL_kᵀ),
///
/// and w_k² the share of the member. That is exact, and the decomposition solves the problem itself, wherever the
/// members have the same metrics and heads do not differ in theirs: a matrix always, experts and projections that read
/// the same inputs. Elsewhere the shared factors come from here and the cores are fitted to the true metrics afterwards
/// (`TuckerCoreFit`).
///
/// The way back uses no inverse of the metric of the columns: with U₁, U₂ and the core known, the factor of the columns
/// is a least-squares fit whose solution does not depend on that metric, so a singular Gram matrix does no harm.
struct TuckerProblem {
    let layout: TuckerLayout
    let slices: [TuckerSlice]
    /// L of all members.
    let rowMetric: Metric
    /// R of all members.
    let columnMetric: Metric
    /// w, by member; also brings the whole to a norm near 1.
    let weights: [Double]
    /// Whether the members have the metrics that the stack is looked at with.
    let isExact: Bool

    init(_ tasks: [CompressionTask], _ layout: TuckerLayout) throws(LinearAlgebraError) {
        self.layout = layout
        let slices = zip(tasks, layout.transposed).map { TuckerSlice($0.objective, transposed: $1) }
        self.slices = slices
        let height = layout.heads * layout.rows
        let rowMeans = slices.map { $0.rowMetric.meanWeight(size: height) }
        let columnMeans = slices.map { $0.columnMetric.meanWeight(size: layout.columns) }
        var blocks: [Metric] = []
        for slice in slices { blocks.append(try slice.rowMetric.averaged(blocks: layout.heads, size: height)) }
        rowMetric = try Metric.sum(blocks, weights: columnMeans, size: layout.rows)
        columnMetric = try Metric.sum(slices.map(\.columnMetric), weights: rowMeans, size: layout.columns)
        let areSame = slices.allSatisfy {
            $0.rowMetric.isSame(as: slices[0].rowMetric) && $0.columnMetric.isSame(as: slices[0].columnMetric)
        }
        let isPlainInRows = if case .identity = slices[0].rowMetric { true } else { false }
        isExact = areSame && (layout.heads == 1 || isPlainInRows)
        let whole = rowMetric.meanWeight(size: layout.rows) * columnMetric.meanWeight(size: layout.columns)
        let scale = Self.scale(slices, whole)
        weights = zip(rowMeans, columnMeans).map { row, column in
            areSame || whole <= 0 ? scale : scale * (row * column / whole).squareRoot()
        }
    }

    /// A power of two that brings the weighted stack to a norm near 1, so that products in Float stay in range.
    private static func scale(_ slices: [TuckerSlice], _ weight: Double) -> Double {
        let norm = (weight * slices.reduce(0) { $0 + sumOfSquares($1.target) }).squareRoot()
        guard norm > 0, norm.isFinite else { return 1 }
        return scalbn(1, -Int(norm.exponent))
    }

    var shift: Double? {
        [rowMetric.shift, columnMetric.shift].compactMap { $0 }.max()
    }

    /// The weighted stack, in Float.
    func tensor() -> TuckerTensor {
        let height = layout.heads * layout.rows
        var elements = Matrix(uninitializedRows: layout.members * height, columns: layout.columns)
        let target = elements.mutableView()
        for (member, slice) in slices.enumerated() {
            let part = target.rows(member * height..<(member + 1) * height)
            var weighted = columnMetric.weighted(slice.target)
            if case .identity = rowMetric {} else {
                weighted = MatrixOperand(weightedRows(weighted))
            }
            convert(weighted, into: MutableMatrixOperand(part))
            scale(part, by: weights[member])
        }
        return TuckerTensor(members: layout.members, heads: layout.heads, rows: layout.rows, elements: elements)
    }

    /// (I ⊗ Lᵀ) · s in Double.
    private func weightedRows(_ s: MatrixOperand) -> Matrix64 {
        var result = Matrix64(uninitializedRows: s.rows, columns: s.columns)
        let target = result.mutableView()
        for head in 0..<layout.heads {
            let range = head * layout.rows..<(head + 1) * layout.rows
            let block = rowMetric.weighted(s.rows(range).transposed).transposed
            convert(block, into: MutableMatrixOperand(target.rows(range)))
        }
        return result
    }

    /// Factors of the weights from those of the weighted stack.
    func factors(of result: TuckerDecomposition.Result) throws(LinearAlgebraError) -> TuckerFactors {
        let modes = PerMode(
            members: result.factors[.members], rows: result.factors[.rows], columns: result.factors[.columns])
        var factors = TuckerFactors(modes, core: result.core)
        if !isPlainInColumns {
            let weights = try contractedWeights(result)
            if factors.columns != nil {
                factors.columns = try Self.columnFactor(core: result.core.elements, weights: weights.elements)
            } else {
                // Without a factor of the columns their metric does not matter to the best core.
                factors.core = weights
            }
        }
        if let rows = factors.rows {
            factors.rows = rowMetric.unweighted(rows)
        } else {
            factors.core = unweightedCoreRows(factors.core)
        }
        factors.divideMembers(by: weights)
        factors.normalise()
        return factors
    }

    private var isPlainInColumns: Bool {
        if case .identity = columnMetric { true } else { false }
    }

    /// F of S' = … C Fᵀ (columns × r₃) that fits the weights best for the core as it is: Fᵀ = (KᵀK)⁻¹ KᵀM.
    /// - Parameters:
    ///   - core: K (others × r₃).
    ///   - weights: M (others × columns), the weights contracted in the other modes.
    private static func columnFactor(core k: Matrix, weights m: Matrix) throws(LinearAlgebraError) -> Matrix {
        var gram = Matrix64(uninitializedRows: k.columns, columns: k.columns)
        multiplyByTranspose(MatrixOperand(k).transposed, into: gram.mutableView())
        var right = Matrix64(uninitializedRows: k.columns, columns: m.columns)
        multiply(MatrixOperand(k).transposed, MatrixOperand(m), into: right.mutableView())
        var options = Cholesky.Options()
        options.largestShift = 0
        if let solved = try? NormalEquations(gram: gram, right: right, cholesky: options) {
            return Matrix(rounding: Matrix64(solved.solution.view.transposed))
        }
        let solution = try LeastSquares(Matrix64(k).view, Matrix64(m).view).solution
        return Matrix(rounding: Matrix64(solution.view.transposed))
    }

    /// U₁ᵀ w_k (I ⊗ U₂ᵀLᵀ) S_k, columns as they are.
    private func contractedWeights(_ result: TuckerDecomposition.Result) throws(LinearAlgebraError) -> TuckerTensor {
        let identity = Matrix64.identity(layout.rows)
        let basis = result.factors[.rows].map { MatrixOperand($0) } ?? MatrixOperand(identity)
        // U₂ᵀ Lᵀ (r × rows)
        let projection = Matrix(rounding: Matrix64(rowMetric.root(times: basis).view.transposed))
        let height = layout.heads * projection.rows
        var elements = Matrix(uninitializedRows: layout.members * height, columns: layout.columns)
        let target = elements.mutableView()
        for (member, slice) in slices.enumerated() {
            let part = target.rows(member * height..<(member + 1) * height)
            let product = slice.floatTarget.blockProduct(MatrixOperand(projection), rowsPerBlock: layout.rows)
            convert(MatrixOperand(product), into: MutableMatrixOperand(part))
            scale(part, by: weights[member])
        }
        let contracted = TuckerTensor(
            members: layout.members, heads: layout.heads, rows: projection.rows, elements: elements)
        return result.factors[.members].map { contracted.contracted(.members, by: $0) } ?? contracted
    }

    /// The core whose rows are those of the weights: every block is solved with Lᵀ.
    private func unweightedCoreRows(_ core: TuckerTensor) -> TuckerTensor {
        if case .identity = rowMetric { return core }
        var elements = Matrix(uninitializedRows: core.elements.rows, columns: core.columns)
        let target = elements.mutableView()
        for block in 0..<core.members * core.heads {
            let range = block * core.rows..<(block + 1) * core.rows
            let part = rowMetric.unweighted(Matrix(core.elements.view.rows(range)))
            convert(MatrixOperand(part), into: MutableMatrixOperand(target.rows(range)))
        }
        return TuckerTensor(members: core.members, heads: core.heads, rows: core.rows, elements: elements)
    }

    private func scale(_ part: MutableMatrixView<Float>, by weight: Double) {
        if weight == 1 { return }
        let factor = Float(weight)
        parallelFor(part.rows) { row in
            let line = part.base + row * part.rowStride
            for column in 0..<part.columns { line[column] *= factor }
        }
    }
}

/// One member as it stands in the stack.
struct TuckerSlice {
    /// S (heads·rows × columns).
    let target: MatrixOperand
    /// Of the heads·rows side.
    let rowMetric: Metric
    let columnMetric: Metric

    /// The target in a type that products in Float take.
    var floatTarget: MatrixOperand {
        target.type == .float64 ? MatrixOperand(Matrix(rounding: Matrix64(target))) : target
    }

    init(_ objective: Objective, transposed: Bool) {
        target = transposed ? objective.target.transposed : objective.target
        rowMetric = transposed ? objective.inputs : objective.outputs
        columnMetric = transposed ? objective.outputs : objective.inputs
    }
}

extension Metric {
    /// L · u for u (n × k).
    fileprivate func root(times u: MatrixOperand) -> Matrix64 {
        switch self {
        case .identity:
            return Matrix64(u)
        case .diagonal(let weights):
            return Matrix64(rows: u.rows, columns: u.columns) { u[$0, $1] * weights[$0] }
        case .gram(let gram):
            var result = Matrix64(uninitializedRows: u.rows, columns: u.columns)
            multiply(MatrixOperand(gram.root), u, into: result.mutableView())
            return result
        }
    }
}
