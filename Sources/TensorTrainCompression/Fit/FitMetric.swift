import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// A metric in the basis of its `KroneckerRoot`: C⁻¹ G C⁻ᵀ / scale, near the identity.
enum FitMetric {
    case identity
    case diagonal([Float])
    case gram(Matrix)

    init(_ metric: Metric, _ root: KroneckerRoot) {
        switch metric {
        case .identity:
            self = .identity
        case .diagonal(let weights):
            // Both are diagonal: C⁻¹ C⁻ᵀ of the squares.
            var ones = Matrix64(rows: weights.count, columns: 1) { row, _ in weights[row] / root.scale.squareRoot() }
            root.apply(.metric, toRowsOf: &ones)
            self = .diagonal(ones.elements.map { Float($0 * $0) })
        case .gram(let gram):
            guard root.roots != nil else {
                self = .identity
                return
            }
            var half = gram.moment
            let view = half.mutableView()
            for i in 0..<gram.size { view[i, i] += gram.shift }
            root.apply(.metric, toRowsOf: &half)
            var whole = Matrix64(uninitializedRows: half.rows, columns: half.columns)
            convert(MatrixOperand(half.view.transposed), into: MutableMatrixOperand(whole.mutableView()))
            root.apply(.metric, toRowsOf: &whole)
            self = .gram(
                Matrix(rows: whole.rows, columns: whole.columns) {
                    // Symmetric to the last digit, as conjugate gradients want it.
                    Float((whole[$0, $1] + whole[$1, $0]) / (2 * root.scale))
                })
        }
    }

    var isIdentity: Bool { if case .identity = self { true } else { false } }

    /// x · G for x (rows × n).
    func weigh(_ x: Matrix) -> Matrix {
        switch self {
        case .identity:
            return x
        case .diagonal(let weights):
            var result = x
            let view = result.mutableView()
            parallelFor(view.rows) { row in
                for (column, weight) in weights.enumerated() { view[row, column] *= weight }
            }
            return result
        case .gram(let gram):
            var result = Matrix(uninitializedRows: x.rows, columns: x.columns)
            multiply(MatrixOperand(x), MatrixOperand(gram), into: result.mutableView())
            return result
        }
    }

    /// G · x for x (n × columns).
    func weighRows(of x: Matrix) -> Matrix {
        switch self {
        case .identity:
            return x
        case .diagonal(let weights):
            var result = x
            let view = result.mutableView()
            parallelFor(view.rows) { row in
                for column in 0..<view.columns { view[row, column] *= weights[row] }
            }
            return result
        case .gram(let gram):
            var result = Matrix(uninitializedRows: x.rows, columns: x.columns)
            multiply(MatrixOperand(gram), MatrixOperand(x), into: result.mutableView())
            return result
        }
    }

    /// G (n × n), written out.
    func matrix(size: Int) -> Matrix64 {
        switch self {
        case .identity: .identity(size)
        case .diagonal(let weights): Matrix64(rows: size, columns: size) { $0 == $1 ? Double(weights[$0]) : 0 }
        case .gram(let gram): Matrix64(rows: size, columns: size) { Double(gram[$0, $1]) }
        }
    }
}
