import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// The matrix whose plain SVD solves a weighted problem, and the way back from its singular vectors to factors.
struct WhitenedProblem {
    private let objective: Objective
    /// L_oᵀ T L_i (m × n).
    private let matrix: Whitened

    private enum Whitened {
        case dense(MatrixOperand)
        /// Of a rank so low that decomposing the factors is less work.
        case product(Factors)
    }

    init(_ objective: Objective) {
        self.objective = objective
        func weighted(outputs matrix: MatrixOperand) -> MatrixOperand {
            objective.outputs.weighted(matrix.transposed).transposed
        }
        if let factors = objective.factors, 2 * factors.rank <= min(objective.target.rows, objective.target.columns) {
            matrix = .product(
                Factors(left: weighted(outputs: factors.left), right: objective.inputs.weighted(factors.right)))
        } else {
            matrix = .dense(weighted(outputs: objective.inputs.weighted(objective.target)))
        }
    }

    /// The decomposition of L_oᵀ T L_i, to be cut at several ranks.
    /// - Parameter decomposed: decomposes a matrix: this one, or one of the order of its rank.
    func nested(_ decomposed: (MatrixOperand) throws -> NestedSVD) throws -> NestedTruncation {
        switch matrix {
        case .dense(let matrix):
            return NestedTruncation(svd: try decomposed(matrix), product: nil)
        case .product(let factors):
            let product = try ProductDecomposition(factors)
            return NestedTruncation(svd: try decomposed(MatrixOperand(product.core)), product: product)
        }
    }

    /// The truncation of L_oᵀ T L_i by a route that depends on the rank.
    func decompose(_ decomposed: (MatrixOperand) throws -> SVDResult) throws -> SVDResult {
        switch matrix {
        case .dense(let matrix):
            return try decomposed(matrix)
        case .product(let factors):
            let product = try ProductDecomposition(factors)
            return product.expand(try decomposed(MatrixOperand(product.core)))
        }
    }

    /// What was added to the diagonal of the metrics.
    var shift: Double? {
        switch (objective.inputs, objective.outputs) {
        case (.gram(let inputs), .gram(let outputs)): max(inputs.shift, outputs.shift)
        case (.gram(let gram), _), (_, .gram(let gram)): gram.shift
        default: nil
        }
    }

    /// A (m × r) and B (r × n) of the optimum of a rank, every component split evenly between them.
    func factors(of svd: SVDResult, rank: Int) -> (a: Matrix, b: Matrix) {
        let (columns, rows) = basis(of: svd, rank: rank)
        var a = columns, b = Matrix(converting: rows)
        balance(&a, &b)
        return (a, b)
    }

    /// A (m × r) and B (r × n) of the optimum of a rank, all of the scale in B: in the plain case A has orthonormal
    /// columns.
    func basis(of svd: SVDResult, rank: Int) -> (a: Matrix, b: MatrixOperand) {
        let u = svd.u.leadingColumns(rank)
        if objective.isPlain {
            // As V lies: what reads B reads it by columns as fast as by rows.
            let v = svd.v.view, scales = svd.singularValues.prefix(rank).map { Float($0) }
            var scaled = Matrix(uninitializedRows: v.rows, columns: rank)
            let target = scaled.mutableView()
            parallelFor(v.rows) { row in
                for column in scales.indices { target[row, column] = v[row, column] * scales[column] }
            }
            return (u, MatrixOperand(scaled).transposed)
        }
        // B = Uᵀ L_oᵀ T, A = L_o⁻ᵀ U.
        let projected = objective.outputs.weighted(objective.target.transposed).transposed
        var b = Matrix(uninitializedRows: rank, columns: projected.columns)
        var product = Matrix64(uninitializedRows: rank, columns: projected.columns)
        multiply(MatrixOperand(u).transposed, projected, into: product.mutableView())
        convert(MatrixOperand(product), into: MutableMatrixOperand(b.mutableView()))
        return (objective.outputs.unweighted(u), MatrixOperand(b))
    }

    /// Gives the columns of A and the rows of B the same norms, without changing the product.
    private func balance(_ a: inout Matrix, _ b: inout Matrix) {
        var scales = [Float](repeating: 1, count: b.rows)
        for index in scales.indices {
            let left = sumOfSquares(MatrixOperand(a.view.columns(index..<index + 1))).squareRoot()
            let right = sumOfSquares(MatrixOperand(b.view.rows(index..<index + 1))).squareRoot()
            if left > 0, right > 0 { scales[index] = Float((right / left).squareRoot()) }
        }
        let left = a.mutableView(), right = b.mutableView()
        let factors = scales
        parallelFor(left.rows) { row in
            for index in factors.indices { left[row, index] *= factors[index] }
        }
        parallelFor(right.rows) { index in
            for column in 0..<right.columns { right[index, column] /= factors[index] }
        }
    }
}

/// The truncations of a whitened matrix.
struct NestedTruncation {
    let svd: NestedSVD
    fileprivate(set) var product: ProductDecomposition?

    func truncated(to rank: Int) throws -> SVDResult {
        let found = try svd.truncated(to: rank)
        return product?.expand(found) ?? found
    }
}

extension Metric {
    /// L⁻ᵀ u for columns u (n × k).
    fileprivate func unweighted(_ u: Matrix) -> Matrix {
        switch self {
        case .identity:
            return u
        case .diagonal(let weights):
            return Matrix(rows: u.rows, columns: u.columns) { Float(Double(u[$0, $1]) / weights[$0]) }
        case .gram(let gram):
            var wide = Matrix64(rows: u.rows, columns: u.columns) { Double(u[$0, $1]) }
            solveTriangular(gram.root.view.transposed, .upper, into: wide.mutableView())
            return Matrix(rows: u.rows, columns: u.columns) { Float(wide[$0, $1]) }
        }
    }
}
