import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

extension FactorOperator: AlternatingOperator {
    public func alternated(
        towards target: Matrix64, _ metric: GramMetric, sweeps: Int
    ) throws(LinearAlgebraError) -> [Matrix] {
        var halves = AlternatingHalves(factors, target, metric)
        for _ in 0..<sweeps {
            halves.left = try halves.solvedLeft()
            halves.right = try halves.solvedRight()
        }
        return [halves.right.rounded, halves.left.rounded]
    }
}

extension PivotOperator: AlternatingOperator {
    /// The rows of the identity stay; only the others of the left factor are solved for.
    public func alternated(
        towards target: Matrix64, _ metric: GramMetric, sweeps: Int
    ) throws(LinearAlgebraError) -> [Matrix] {
        var halves = AlternatingHalves(factors, target, metric)
        let others = rows.dropFirst(rank).map(Int.init)
        for _ in 0..<sweeps {
            let solved = try halves.solvedLeft()
            for row in others {
                for column in 0..<rank { halves.left[row, column] = solved[row, column] }
            }
            halves.right = try halves.solvedRight()
        }
        let left = halves.left
        let coefficients = Matrix64(rows: others.count, columns: rank) { left[others[$0], $1] }
        return [halves.right.rounded, coefficients.rounded]
    }
}

/// The two closed forms of W' = L R in Double.
private struct AlternatingHalves {
    /// L (m × r).
    var left: Matrix64
    /// R (r × n).
    var right: Matrix64
    private let target: Matrix64
    private let metric: GramMetric
    /// M G (m × n)
    private let weighted: Matrix64

    init(_ factors: Factors, _ target: Matrix64, _ metric: GramMetric) {
        left = Matrix64(factors.left)
        right = Matrix64(factors.right)
        self.target = target
        self.metric = metric
        weighted = Self.product(MatrixOperand(target), MatrixOperand(metric.moment))
    }

    /// M G Rᵀ (R G Rᵀ)⁻¹, whatever L is.
    func solvedLeft() throws(LinearAlgebraError) -> Matrix64 {
        let transposed = MatrixOperand(right).transposed
        let gram = Self.product(
            MatrixOperand(Self.product(MatrixOperand(right), MatrixOperand(metric.moment))), transposed)
        var solution = Matrix64(Self.product(MatrixOperand(weighted), transposed).view.transposed)  // (r × m)
        try Cholesky(gram).solve(into: solution.mutableView())
        return Matrix64(solution.view.transposed)
    }

    /// (Lᵀ L)⁻¹ Lᵀ M, whatever R and the metric are.
    func solvedRight() throws(LinearAlgebraError) -> Matrix64 {
        let transposed = MatrixOperand(left).transposed
        let gram = Self.product(transposed, MatrixOperand(left))
        var solution = Self.product(transposed, MatrixOperand(target))  // (r × n)
        try Cholesky(gram).solve(into: solution.mutableView())
        return solution
    }

    private static func product(_ a: MatrixOperand, _ b: MatrixOperand) -> Matrix64 {
        var result = Matrix64(uninitializedRows: a.rows, columns: b.columns)
        multiply(a, b, into: result.mutableView())
        return result
    }
}

extension Matrix64 {
    /// In Double.
    fileprivate init(_ operand: MatrixOperand) {
        self.init(uninitializedRows: operand.rows, columns: operand.columns)
        convert(operand, into: MutableMatrixOperand(mutableView()))
    }

    fileprivate var rounded: Matrix {
        var result = Matrix(uninitializedRows: rows, columns: columns)
        convert(MatrixOperand(self), into: MutableMatrixOperand(result.mutableView()))
        return result
    }
}
