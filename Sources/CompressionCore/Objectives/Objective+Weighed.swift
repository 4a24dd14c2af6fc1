import Kernels
import MatrixCore

extension Objective {
    /// H E G of an error E (m × n), with H = L_oL_oᵀ and G = L_iL_iᵀ: half the gradient of ‖L_oᵀ E L_i‖².
    ///
    /// - Cost: a product of m·n² operations where the inputs have a Gram matrix, m²·n where the outputs have one, and
    ///   passes over E otherwise.
    public func weighed(_ error: MatrixOperand) -> MatrixOperand {
        outputs.squared(inputs.squared(error).transposed).transposed
    }

    /// What was added to the diagonals of Gram matrices; nil where there is none.
    public var shift: Double? {
        switch (inputs, outputs) {
        case (.gram(let inputs), .gram(let outputs)): max(inputs.shift, outputs.shift)
        case (.gram(let gram), _), (_, .gram(let gram)): gram.shift
        default: nil
        }
    }
}

extension Metric {
    /// e · L Lᵀ for rows e (k × n), in Double; the identity leaves the operand as it is.
    fileprivate func squared(_ rows: MatrixOperand) -> MatrixOperand {
        switch self {
        case .identity:
            return rows
        case .diagonal(let weights):
            return MatrixOperand(
                Matrix64(rows: rows.rows, columns: rows.columns) { rows[$0, $1] * weights[$1] * weights[$1] })
        case .gram(let gram):
            var result = Matrix64(uninitializedRows: rows.rows, columns: rows.columns)
            multiply(rows, MatrixOperand(gram.moment), into: result.mutableView())
            if gram.shift > 0 {
                let view = result.mutableView()
                parallelFor(rows.rows) { i in
                    for j in 0..<rows.columns { view[i, j] += gram.shift * rows[i, j] }
                }
            }
            return MatrixOperand(result)
        }
    }

    /// The diagonal of L Lᵀ for a space of `count` features: what an error in one feature alone counts.
    public func featureWeights(count: Int) -> [Double] {
        switch self {
        case .identity: [Double](repeating: 1, count: count)
        case .diagonal(let weights): weights.map { $0 * $0 }
        case .gram(let gram): (0..<count).map { gram.moment[$0, $0] + gram.shift }
        }
    }
}
