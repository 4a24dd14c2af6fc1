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
        return [Matrix(converting: MatrixOperand(halves.right)), Matrix(converting: MatrixOperand(halves.left))]
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
        return [Matrix(converting: MatrixOperand(halves.right)), Matrix(converting: MatrixOperand(coefficients))]
    }
}
