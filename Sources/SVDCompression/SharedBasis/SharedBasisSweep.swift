import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// A step of the basis after one of the coefficients: both are then closer to the least Σ_l ‖L_o,lᵀ(T_l − C_l B)L_l‖².
///
/// The SVD of the stack measures every member in the sum of all moments. With C_l fitted to their own, the best basis
/// solves Σ C_lᵀH_lC_l B G_l = Σ C_lᵀH_lT_lG_l, G_l and H_l the moments of inputs and outputs; neither side is ever formed
/// for more than one member. Conjugate gradients from the basis at hand lower the error with every step, so they may
/// end early; (Σ C_lᵀC_l) ⊗ (Σ G_l), which is the system where all members read the same, preconditions them.
///
/// - Cost: for every step a product of g·m·n² operations, as many as forming the stack.
/// - Source: alternating least squares; Basis Sharing (arXiv 2410.03765) ends at the SVD.
struct SharedBasisSweep {
    /// The members that say something of the basis.
    let tasks: [CompressionTask]
    /// Σ G_l.
    let metric: Metric

    /// Steps of conjugate gradients at most, and the residual at which they end, relative to the first.
    private static let steps = 10
    private static let tolerance = 1e-4

    /// B (r × n) after a step.
    func improved(_ rows: Matrix) throws(LinearAlgebraError) -> Matrix {
        let fit = SharedBasisFit(basis: MatrixOperand(rows))
        var coefficients: [Matrix] = []
        for task in tasks { coefficients.append(try fit.coefficients(for: task.objective)) }
        guard let preconditioner = try Preconditioner(coefficients, metric) else { return rows }
        var basis = Matrix64(rows: rows.rows, columns: rows.columns) { Double(rows[$0, $1]) }
        var residual = gradient(basis, coefficients)
        var direction = preconditioner.applied(to: residual)
        var product = Self.inner(residual, direction)
        let first = product
        for _ in 0..<Self.steps where product > Self.tolerance * Self.tolerance * first && product > 0 {
            let image = image(of: direction, coefficients)
            let curvature = Self.inner(direction, image)
            guard curvature > 0 else { break }
            Self.add(direction, by: product / curvature, to: &basis)
            Self.add(image, by: -product / curvature, to: &residual)
            let next = preconditioner.applied(to: residual)
            let nextProduct = Self.inner(residual, next)
            Self.scale(&direction, by: nextProduct / product)
            Self.add(next, by: 1, to: &direction)
            product = nextProduct
        }
        return Matrix(rows: basis.rows, columns: basis.columns) { Float(basis[$0, $1]) }
    }

    /// Σ C_lᵀ H_l (T_l − C_l B) G_l: half the slope of the error, downhill.
    private func gradient(_ basis: Matrix64, _ coefficients: [Matrix]) -> Matrix64 {
        sum(coefficients, basis) { task, c in
            var error = Matrix64(uninitializedRows: task.objective.target.rows, columns: basis.columns)
            convert(task.objective.target, into: MutableMatrixOperand(error.mutableView()))
            multiply(MatrixOperand(c), MatrixOperand(basis), into: error.mutableView(), alpha: -1, beta: 1)
            return error
        }
    }

    /// Σ C_lᵀ H_l C_l P G_l.
    private func image(of direction: Matrix64, _ coefficients: [Matrix]) -> Matrix64 {
        sum(coefficients, direction) { task, c in
            var product = Matrix64(uninitializedRows: c.rows, columns: direction.columns)
            multiply(MatrixOperand(c), MatrixOperand(direction), into: product.mutableView())
            return product
        }
    }

    /// Σ C_lᵀ H_l E_l G_l of a matrix E_l (m × n) of each member.
    private func sum(
        _ coefficients: [Matrix], _ shape: Matrix64, _ part: (CompressionTask, Matrix) -> Matrix64
    ) -> Matrix64 {
        var sum = Matrix64(rows: shape.rows, columns: shape.columns)
        for (task, c) in zip(tasks, coefficients) {
            let weighed = task.objective.weighed(MatrixOperand(part(task, c)))
            multiply(MatrixOperand(c).transposed, weighed, into: sum.mutableView(), beta: 1)
        }
        return sum
    }

    // MARK: Vectors

    private static func inner(_ a: Matrix64, _ b: Matrix64) -> Double {
        innerProduct(MatrixOperand(a), MatrixOperand(b))
    }

    /// b ← b + factor · a
    private static func add(_ a: Matrix64, by factor: Double, to b: inout Matrix64) {
        let target = b.mutableView()
        parallelFor(target.rows) { row in
            for column in 0..<target.columns { target[row, column] += factor * a[row, column] }
        }
    }

    private static func scale(_ a: inout Matrix64, by factor: Double) {
        let target = a.mutableView()
        parallelFor(target.rows) { row in
            for column in 0..<target.columns { target[row, column] *= factor }
        }
    }
}

/// X ↦ (Σ C_lᵀC_l)⁻¹ X (Σ G_l)⁻¹.
private struct Preconditioner {
    private let left: Cholesky
    private let right: Metric

    /// nil where the coefficients say nothing: all of them are zero.
    init?(_ coefficients: [Matrix], _ metric: Metric) throws(LinearAlgebraError) {
        let rank = coefficients.first?.columns ?? 0
        var gram = Matrix64(rows: rank, columns: rank)
        for c in coefficients {
            multiplyByTranspose(MatrixOperand(c).transposed, into: gram.mutableView(), beta: 1)
        }
        guard (0..<rank).contains(where: { gram[$0, $0] > 0 }) else { return nil }
        left = try Cholesky(gram)
        right = metric
    }

    func applied(to x: Matrix64) -> Matrix64 {
        var result = x
        left.solve(into: result.mutableView())
        switch right {
        case .identity:
            break
        case .diagonal(let weights):
            let view = result.mutableView()
            for row in 0..<view.rows {
                for column in 0..<view.columns { view[row, column] /= weights[column] * weights[column] }
            }
        case .gram(let gram):
            let transposed = result.mutableView().transposed
            solveTriangular(gram.root.view, .lower, into: transposed)
            solveTriangular(gram.root.view.transposed, .upper, into: transposed)
        }
        return result
    }
}
