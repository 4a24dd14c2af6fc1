import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// The difference of two weights D = W_A − W_B (m × n) as a product of two thin matrices B A, the closest of its rank.
///
/// The scale of every component is split evenly between them, as trained adapters have it about.
struct LowRankDifference {
    /// A (r × n): `lora_A`.
    let a: StoredTensor
    /// B (m × r): `lora_B`.
    let b: StoredTensor
    let rank: Int
    /// ‖D − BA‖ / ‖D‖ with both factors as written.
    let error: Double

    /// - Returns: nil where the weights are the same.
    /// - Throws: `LinearAlgebraError` where a number is not finite.
    init?(_ target: MatrixOperand, _ base: MatrixOperand, rank rule: AdapterRank, type: ElementType) throws {
        let difference = Matrix(rows: target.rows, columns: target.columns) { Float(target[$0, $1] - base[$0, $1]) }
        let operand = MatrixOperand(difference)
        // A sum that is no number is not zero either: the decomposition says where it is.
        guard sumOfSquares(operand) != 0 else { return nil }
        let svd = try TruncatedSVD().decompose(operand) { rule.rank(of: $0) }
        rank = svd.rank
        let roots = svd.kept.map { Float($0.squareRoot()) }
        let left = Matrix(rows: target.rows, columns: rank) { svd.u[$0, $1] * roots[$1] }
        let right = Matrix(rows: rank, columns: target.columns) { roots[$0] * svd.v[$1, $0] }
        let form = Factors(left: MatrixOperand(left), right: MatrixOperand(right))
        a = StoredTensor(form.right, as: type)
        b = StoredTensor(form.left, as: type)
        guard let storedA = a.operand(), let storedB = b.operand() else { return nil }
        var product = Matrix(uninitializedRows: target.rows, columns: target.columns)
        multiply(storedB, storedA, into: product.mutableView())
        error = (sumOfSquaredDifferences(operand, MatrixOperand(product)) / sumOfSquares(operand)).squareRoot()
    }
}
