import MatrixCore

/// An operator whose first step other operators have as well: W' = B A with one A for all of them.
///
/// Operators that read the same tokens compute A x once between them: the experts that a token chooses, for instance.
public protocol SharedInputOperator: LinearOperator {
    /// Equal for operators whose first step is the same; nil where this one has none.
    var sharedInputKey: String? { get }
    /// Rows of A.
    var sharedFeatures: Int { get }

    /// bond ← x · Aᵀ.
    /// - Parameters:
    ///   - x: tokens (T × n).
    ///   - bond: (T × sharedFeatures), overwritten.
    func multiplyShared(_ x: MatrixView<Float>, into bond: MutableMatrixView<Float>)

    /// y ← bond · Bᵀ: what `apply` gives for the x of the bond.
    func apply(bond: MatrixView<Float>, into y: MutableMatrixView<Float>)
}
