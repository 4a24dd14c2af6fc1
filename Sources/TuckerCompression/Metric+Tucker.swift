import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

extension Metric {
    /// x · M for rows x (k × n), M = L Lᵀ the moment of the metric, its shift included.
    func applied(to x: Matrix64) -> Matrix64 {
        switch self {
        case .identity:
            return x
        case .diagonal(let weights):
            return Matrix64(rows: x.rows, columns: x.columns) { x[$0, $1] * weights[$1] * weights[$1] }
        case .gram(let gram):
            var result = x
            multiply(
                MatrixOperand(x), MatrixOperand(gram.moment), into: result.mutableView(), beta: gram.shift)
            return result
        }
    }

    var shift: Double? {
        if case .gram(let gram) = self { gram.shift } else { nil }
    }

    /// L⁻ᵀ · u for u (n × k): takes a factor of a weighted problem back.
    func unweighted(_ u: Matrix) -> Matrix {
        switch self {
        case .identity:
            return u
        case .diagonal(let weights):
            return Matrix(rows: u.rows, columns: u.columns) { Float(Double(u[$0, $1]) / weights[$0]) }
        case .gram(let gram):
            var wide = Matrix64(u)
            solveTriangular(gram.root.view.transposed, .upper, into: wide.mutableView())
            return Matrix(rounding: wide)
        }
    }

    /// The metric of each of `blocks` equal parts of the space, averaged; for one block the metric itself.
    func averaged(blocks: Int, size: Int) throws(LinearAlgebraError) -> Metric {
        if blocks == 1 { return self }
        let width = size / blocks
        switch self {
        case .identity:
            return .identity
        case .diagonal(let weights):
            return .diagonal(
                (0..<width).map { place in
                    let squares = (0..<blocks).reduce(0.0) { sum, block in
                        let weight = weights[block * width + place]
                        return sum + weight * weight
                    }
                    return (squares / Double(blocks)).squareRoot()
                })
        case .gram(let gram):
            let moment = Matrix64(rows: width, columns: width) { i, j in
                (0..<blocks).reduce(0) { $0 + gram.moment[$1 * width + i, $1 * width + j] } / Double(blocks)
            }
            return .gram(try GramMetric(moment: moment))
        }
    }
}

extension Matrix {
    init(rounding matrix: Matrix64) {
        self.init(uninitializedRows: matrix.rows, columns: matrix.columns)
        convert(MatrixOperand(matrix), into: MutableMatrixOperand(mutableView()))
    }
}

extension Matrix64 {
    init(_ matrix: Matrix) {
        self.init(MatrixOperand(matrix))
    }

    init(_ operand: MatrixOperand) {
        self.init(uninitializedRows: operand.rows, columns: operand.columns)
        convert(operand, into: MutableMatrixOperand(mutableView()))
    }
}
