import Kernels
import MatrixCore

/// What a compressor approximates and how it measures the error:
///
///     minimise ‖ L_oᵀ (T − W') L_i ‖_F     over the forms W' of the method,
///
/// where T (m × n) is the target, L_i L_iᵀ the metric of the inputs and L_o L_oᵀ that of the outputs.
///
/// Plain compression has T = W and both metrics the identity. Compression that knows the activations X has the Gram
/// matrix X Xᵀ as input metric, for ‖(T − W')X‖_F. Correcting for the errors of earlier layers is another target in the
/// metric of the inputs that the compressed network produces, so a method that accepts an objective gets all of these.
public struct Objective: Sendable {
    /// T (m × n).
    public var target: MatrixOperand {
        // Another target is another product, or none.
        didSet { factors = nil }
    }
    /// T as a product of thin factors, where it is known as one.
    public private(set) var factors: Factors?
    public var inputs: Metric
    public var outputs: Metric

    /// - Parameter factors: their product is `target`.
    public init(
        target: MatrixOperand, factors: Factors? = nil, inputs: Metric = .identity, outputs: Metric = .identity
    ) {
        precondition(
            factors.map { $0.left.rows == target.rows && $0.right.columns == target.columns } ?? true,
            "factors of another matrix")
        self.target = target
        self.factors = factors
        self.inputs = inputs
        self.outputs = outputs
    }

    /// Whether the error is the plain Frobenius norm.
    public var isPlain: Bool {
        if case .identity = inputs, case .identity = outputs { true } else { false }
    }

    /// ‖ L_oᵀ E L_i ‖_F² of an error E (m × n).
    public func squaredNorm(of error: MatrixOperand) -> Double {
        let right = inputs.weighted(error)
        return outputs.weighted(right.transposed).reduceSquares()
    }
}

/// A symmetric positive semidefinite way to weigh a vector space of n features.
public enum Metric: Sendable {
    case identity
    /// Weights d > 0: the norm of a row e is ‖e · diag(d)‖.
    case diagonal([Double])
    /// G = L Lᵀ: the squared norm of a row e is e G eᵀ.
    case gram(GramMetric)

    /// e · L for rows e (k × n) in Double; the identity leaves the operand as it is.
    public func weighted(_ rows: MatrixOperand) -> MatrixOperand {
        switch self {
        case .identity:
            return rows
        case .diagonal(let weights):
            precondition(weights.count == rows.columns, "a metric of another size")
            return MatrixOperand(Matrix64(rows: rows.rows, columns: rows.columns) { rows[$0, $1] * weights[$1] })
        case .gram(let gram):
            precondition(gram.size == rows.columns, "a metric of another size")
            return MatrixOperand(gram.weighted(rows))
        }
    }
}

extension MatrixOperand {
    fileprivate func reduceSquares() -> Double { sumOfSquares(self) }
}
