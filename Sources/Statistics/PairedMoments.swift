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
    /// Of a layer whose outputs are added to the residual stream.
    private var gap: ResidualGap?

    public init(features: Int) {
        dense = InputMoments(features: features)
        compressed = InputMoments(features: features)
        cross = Matrix64(rows: features, columns: features)
    }

    /// What the sums of an input take in memory, and what a correction makes of them.
    public static func bytes(features: Int) -> Int { 6 * features * features * MemoryLayout<Double>.stride }

    /// Adds the same tokens as both networks see them, each (tokens × n).
    public func add(_ x: MatrixView<Float>, _ seen: MatrixView<Float>) {
        precondition(x.rows == seen.rows, "other tokens")
        guard x.rows > 0 else { return }
        dense.add(x)
        compressed.add(seen)
        multiply(MatrixOperand(x).transposed, MatrixOperand(seen), into: cross.mutableView(), beta: 1)
    }

    /// Adds what the outputs of the layer are added to, h in the dense model and ĥ in the other, for tokens added
    /// already.
    ///
    /// - Parameters:
    ///   - residual: h (tokens × m)
    ///   - seenResidual: ĥ (tokens × m)
    public func addResiduals(
        _ residual: MatrixView<Float>, _ seenResidual: MatrixView<Float>, at x: MatrixView<Float>,
        _ seen: MatrixView<Float>
    ) {
        precondition(residual.rows == x.rows && seenResidual.rows == x.rows && seen.rows == x.rows, "other tokens")
        guard x.rows > 0 else { return }
        var sums = gap ?? ResidualGap(outputs: residual.columns, inputs: x.columns)
        let difference = Matrix(rows: residual.rows, columns: residual.columns) {
            residual[$0, $1] - seenResidual[$0, $1]
        }
        let gaps = MatrixOperand(difference)
        sums.squares += sumOfSquares(gaps)
        multiply(gaps.transposed, MatrixOperand(x), into: sums.dense.mutableView(), beta: 1)
        multiply(gaps.transposed, MatrixOperand(seen), into: sums.compressed.mutableView(), beta: 1)
        gap = sums
    }

    /// The layer that makes the best of what it really reads.
    ///
    /// - Throws: `LinearAlgebraError` where the sums are not finite.
    public func correction() throws(LinearAlgebraError) -> SequentialCorrection {
        let metric = try compressed.metric(leastRidge: SequentialCorrection.leastRidge)
        return SequentialCorrection(metric: metric, dense: dense.moment, cross: cross, gap: gap)
    }
}

/// Sums over what the residual stream lacks where a layer's outputs are added to it: d = h − ĥ.
struct ResidualGap {
    /// Σ d xᵀ (m × n)
    var dense: Matrix64
    /// Σ d x̂ᵀ (m × n)
    var compressed: Matrix64
    /// Σ ‖d‖²
    var squares = 0.0

    init(outputs: Int, inputs: Int) {
        dense = Matrix64(rows: outputs, columns: inputs)
        compressed = Matrix64(rows: outputs, columns: inputs)
    }
}

/// A layer's task in a network whose earlier layers are compressed already: minimise ‖D + W X − W' X̂‖_F over W'.
///
/// D = H − Ĥ is what the residual stream lacks already where the outputs are added to it: the layer is fitted to give
/// the dense sum H + W X, and so makes up for the errors of all layers before it, as far as its inputs show them. A
/// layer within a block has no such sum, and D = 0.
///
/// With Ĝ = X̂ X̂ᵀ the error is a constant plus ‖(M − W') X̂‖² for M = (D + W X) X̂ᵀ Ĝ⁻¹, so every method solves it by
/// compressing the target M in the metric Ĝ. Where Ĝ carries a shift δ, M = (D X̂ᵀ + W (X X̂ᵀ + δ I)) (Ĝ + δ I)⁻¹:
/// directions that no token shows stay as they are.
///
/// - Cost: n³ for the first target, 2 m n² for every layer of m outputs.
/// - Source: AA-SVD (arXiv 2604.02119) for SVD and D = 0; the general form in METHODS §2.3; D is ours.
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
    private let gap: ResidualGap?
    /// D X̂ᵀ (Ĝ + δ I)⁻¹ (m × n)
    private let gapTarget: Matrix64?

    init(metric: GramMetric, dense: Matrix64, cross: Matrix64, gap: ResidualGap?) {
        self.metric = metric
        self.dense = dense
        self.cross = cross
        self.gap = gap
        var shifted = cross
        let view = shifted.mutableView()
        for i in 0..<view.rows { view[i, i] += metric.shift }
        transfer = Self.solve(shifted, metric)
        gapTarget = gap.map { Self.solve($0.compressed, metric) }
    }

    /// R (Ĝ + δ I)⁻¹ for rows R (k × n): its transpose solves (Ĝ + δ I) Y = Rᵀ.
    private static func solve(_ rows: Matrix64, _ metric: GramMetric) -> Matrix64 {
        var solution = Matrix64(rows.view.transposed)
        let view = solution.mutableView()
        solveTriangular(metric.root.view, .lower, into: view)
        solveTriangular(metric.root.view.transposed, .upper, into: view)
        return Matrix64(solution.view.transposed)
    }

    /// M (m × n) of a weight W (m × n).
    public func target(for weight: MatrixOperand) -> Matrix64 {
        var target = product(weight, transfer)
        if let gapTarget {
            precondition(gapTarget.rows == target.rows, "a residual stream of another width")
            let view = target.mutableView()
            for i in 0..<view.rows {
                for j in 0..<view.columns { view[i, j] += gapTarget[i, j] }
            }
        }
        return target
    }

    /// ‖D + W X − W' X̂‖ / ‖W X‖.
    public func relativeError(of replacement: Matrix, for weight: MatrixOperand) -> Double {
        let found = MatrixOperand(replacement)
        let norm = inner(product(weight, dense), weight)
        let seen = inner(product(found, metric.moment), found)
        let shared = inner(product(weight, cross), found)
        let lacking = gap.map { $0.squares + 2 * (inner($0.dense, weight) - inner($0.compressed, found)) } ?? 0
        return norm > 0 ? (max(0, norm - 2 * shared + seen + lacking) / norm).squareRoot() : 0
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
    /// Σ x xᵀ as a metric; one of few tokens is drawn towards the identity, see `Shrinkage`. Where all tokens are zero,
    /// as behind layers that give nothing, it is the identity.
    ///
    /// - Parameter leastRidge: what is added to the diagonal at least, in units of the mean of the diagonal.
    public func metric(leastRidge: Double = 0) throws(LinearAlgebraError) -> GramMetric {
        let moment = moment
        let isEnough = tokens >= Shrinkage.enoughTokensPerFeature * features
        let mean = (0..<features).reduce(0) { $0 + moment[$1, $1] } / Double(max(features, 1))
        guard mean > 0 || !mean.isFinite else { return try GramMetric(moment: moment, ridge: 1) }
        return try GramMetric(
            moment: moment, ridge: max(isEnough ? 0 : Shrinkage(of: self).ridge, leastRidge * mean))
    }
}
