import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// R (n × r) with B R = I and T R = A, for the optimum A B of a weighted problem: what takes any matrix that has nearly
/// the rows of B back to coordinates.
///
/// In the metric T L_i = L_o⁻ᵀ U S Vᵀ + E with E V = 0, so R = L_i V S⁻¹.
struct DualBasis {
    /// L_i V (n × r).
    let vectors: MatrixOperand
    /// The diagonal of S, above zero.
    let values: [Double]
    /// What the optimum loses, ‖T L_i − A B L_i‖² in the metric of the outputs.
    let squaredLoss: Double
    /// The diagonal of L_iL_iᵀ (n): what an error in one feature alone counts.
    let featureWeights: [Double]

    /// Smallest share of σ₁ that can be divided by.
    private static let leastShare = 1e-6

    /// - Returns: nil where a singular value is too small, or where outputs are tied to each other, so that rows cannot
    ///   be fitted one by one.
    init?(_ objective: Objective, _ svd: SVDResult, rank: Int) {
        if case .gram = objective.outputs { return nil }
        values = Array(svd.singularValues.prefix(rank))
        guard values.count == rank, let first = values.first, let last = values.last, last > Self.leastShare * first
        else { return nil }
        let beyond = svd.kept.dropFirst(rank) + [svd.evidence.truncationError]
        squaredLoss = beyond.reduce(0) { $0 + $1 * $1 }
        let v = svd.v.view.columns(0..<rank)
        featureWeights = objective.inputs.featureWeights(count: v.rows)
        switch objective.inputs {
        case .identity: vectors = MatrixOperand(v)
        case .diagonal(let weights): vectors = MatrixOperand(Self.scaled(v, by: weights))
        case .gram(let gram): vectors = MatrixOperand(Self.product(gram.root.view, v))
        }
    }

    /// N R for rows N (k × n).
    func coordinates(of rows: Matrix) -> Matrix {
        var product = Matrix(uninitializedRows: rows.rows, columns: vectors.columns)
        let target = product.mutableView()
        multiply(MatrixOperand(rows), vectors, into: target)
        let scales = values.map { Float(1 / $0) }
        parallelFor(target.rows) { row in
            for column in scales.indices { target[row, column] *= scales[column] }
        }
        return product
    }

    private static func scaled(_ v: MatrixView<Float>, by weights: [Double]) -> Matrix {
        var result = Matrix(uninitializedRows: v.rows, columns: v.columns)
        let target = result.mutableView()
        parallelFor(v.rows) { row in
            let weight = Float(weights[row])
            for column in 0..<v.columns { target[row, column] = weight * v[row, column] }
        }
        return result
    }

    /// L V in Float, for L (n × n) lower triangular.
    private static func product(_ root: MatrixView<Double>, _ v: MatrixView<Float>) -> Matrix {
        var result = Matrix(uninitializedRows: v.rows, columns: v.columns)
        let target = result.mutableView()
        let height = 512
        for start in stride(from: 0, to: v.rows, by: height) {
            let rows = start..<min(start + height, v.rows), columns = 0..<rows.upperBound
            var part = Matrix(uninitializedRows: rows.count, columns: columns.count)
            convert(
                MatrixOperand(root.block(rows: rows, columns: columns)),
                into: MutableMatrixOperand(part.mutableView()))
            multiply(MatrixOperand(part), MatrixOperand(v.rows(columns)), into: target.rows(rows))
        }
        return result
    }
}
