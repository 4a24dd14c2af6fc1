import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// Sums over tokens that went through a model twice: x as the dense model gives it to a layer, x̂ as the compressed
/// network does.
public final class PairedMoments {
    /// Σ x xᵀ and the like.
    public let dense: InputMoments
    /// Σ x̂ x̂ᵀ and the like.
    public let compressed: InputMoments
    /// Σ x x̂ᵀ (n × n)
    private var cross: Matrix64

    public init(features: Int) {
        dense = InputMoments(features: features)
        compressed = InputMoments(features: features)
        cross = Matrix64(rows: features, columns: features)
    }

    /// Bytes that the sums of an input take in memory.
    public static func bytes(features: Int) -> Int { 3 * InputMoments.bytes(features: features) }

    /// Adds the same tokens as both networks see them, each (tokens × n).
    public func add(_ x: MatrixView<Float>, _ seen: MatrixView<Float>) {
        precondition(x.rows == seen.rows, "other tokens")
        guard x.rows > 0 else { return }
        dense.add(x)
        compressed.add(seen)
        multiply(MatrixOperand(x).transposed, MatrixOperand(seen), into: cross.mutableView(), beta: 1)
    }

    /// The layer that makes the best of what it really reads.
    ///
    /// - Throws: `LinearAlgebraError` where the sums are not finite.
    public func correction() throws(LinearAlgebraError) -> SequentialCorrection {
        let metric = try compressed.metric(leastRidge: SequentialCorrection.leastRidge)
        return SequentialCorrection(metric: metric, dense: dense.moment, cross: cross)
    }
}

/// A layer's task in a network whose earlier layers are compressed already: minimise ‖W X − W' X̂‖_F over W'.
///
/// With Ĝ = X̂ X̂ᵀ the error is a constant plus ‖(M − W') X̂‖² for M = W X X̂ᵀ Ĝ⁻¹, so every method solves it by
/// compressing the target M in the metric Ĝ. Where Ĝ carries a shift δ, M = W (X X̂ᵀ + δ I) (Ĝ + δ I)⁻¹: directions that
/// no token shows stay as they are.
///
/// - Cost: n³ for the first target, 2 m n² for every layer of m outputs.
/// - Source: AA-SVD (arXiv 2604.02119) for SVD; the general form in METHODS §2.3.
public final class SequentialCorrection {
    /// What is added to the diagonal of Ĝ at least, in units of its mean. Compressed layers leave directions empty but
    /// for rounding; without it the target would undo that loss from noise, with numbers that no storage type can hold.
    /// Directions of a hundredth of the usual size are corrected by half.
    static let leastRidge = 1e-4

    /// Ĝ with its factor.
    public let metric: GramMetric
    /// X Xᵀ (n × n)
    private let dense: Matrix64
    /// X X̂ᵀ (n × n)
    private let cross: Matrix64
    /// (X X̂ᵀ + δ I) (Ĝ + δ I)⁻¹ (n × n)
    private let transfer: Matrix64

    init(metric: GramMetric, dense: Matrix64, cross: Matrix64) {
        self.metric = metric
        self.dense = dense
        self.cross = cross
        // Its transpose solves (Ĝ + δ I) Tᵀ = X̂ Xᵀ + δ I.
        var solution = Matrix64(cross.view.transposed)
        let view = solution.mutableView()
        for i in 0..<view.rows { view[i, i] += metric.shift }
        solveTriangular(metric.root.view, .lower, into: view)
        solveTriangular(metric.root.view.transposed, .upper, into: view)
        transfer = Matrix64(solution.view.transposed)
    }

    /// M (m × n) of a weight W (m × n).
    public func target(for weight: MatrixOperand) -> Matrix64 { product(weight, transfer) }

    /// ‖W X − W' X̂‖ / ‖W X‖.
    public func relativeError(of replacement: Matrix, for weight: MatrixOperand) -> Double {
        let found = MatrixOperand(replacement)
        let norm = inner(product(weight, dense), weight)
        let seen = inner(product(found, metric.moment), found)
        let shared = inner(product(weight, cross), found)
        return norm > 0 ? (max(0, norm - 2 * shared + seen) / norm).squareRoot() : 0
    }

    /// ‖(W − W') X‖ / ‖W X‖: without the errors of earlier layers.
    public func isolatedError(of replacement: Matrix, for weight: MatrixOperand) -> Double {
        let error = MatrixOperand(
            Matrix64(rows: replacement.rows, columns: replacement.columns) {
                weight[$0, $1] - Double(replacement[$0, $1])
            })
        let norm = inner(product(weight, dense), weight)
        return norm > 0 ? (max(0, inner(product(error, dense), error)) / norm).squareRoot() : 0
    }

    private func product(_ left: MatrixOperand, _ right: Matrix64) -> Matrix64 {
        var result = Matrix64(uninitializedRows: left.rows, columns: right.columns)
        multiply(left, MatrixOperand(right), into: result.mutableView())
        return result
    }

    /// Σ a ∘ b.
    private func inner(_ a: Matrix64, _ b: MatrixOperand) -> Double {
        var sum = 0.0
        for i in 0..<a.rows {
            for j in 0..<a.columns { sum += a[i, j] * b[i, j] }
        }
        return sum
    }
}

extension InputMoments {
    /// Σ x xᵀ as a metric; one of few tokens is drawn towards the identity, see `Shrinkage`.
    ///
    /// - Parameter leastRidge: what is added to the diagonal at least, in units of the mean of the diagonal.
    public func metric(leastRidge: Double = 0) throws(LinearAlgebraError) -> GramMetric {
        let moment = moment
        let isEnough = tokens >= Shrinkage.enoughTokensPerFeature * features
        let mean = (0..<features).reduce(0) { $0 + moment[$1, $1] } / Double(max(features, 1))
        return try GramMetric(
            moment: moment, ridge: max(isEnough ? 0 : Shrinkage(of: self).ridge, leastRidge * mean))
    }
}
