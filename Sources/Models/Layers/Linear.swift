import CompressionCore
import MatrixCore

/// A linear layer of a model: any operator, with a bias where the layer has one.
public struct Linear: Sendable {
    /// The module's name in the checkpoint.
    public let name: String
    public let weight: any LinearOperator
    /// (outFeatures)
    let bias: AlignedBuffer<Float>?

    public var outFeatures: Int { weight.outFeatures }
    public var inFeatures: Int { weight.inFeatures }

    /// y ← x · W'ᵀ + b
    func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>, _ state: SequenceState) {
        state.observer?.willApply(name, to: x)
        weight.apply(x, into: y)
        addBias(to: y)
    }

    /// The same from what a first step that is shared has made of x; no observer is told.
    func apply(bond: MatrixView<Float>, of shared: any SharedInputOperator, into y: MutableMatrixView<Float>) {
        shared.apply(bond: bond, into: y)
        addBias(to: y)
    }

    func addBias(to y: MutableMatrixView<Float>) {
        guard let bias else { return }
        forEachRowBlock(y.rows, columns: y.columns) { rows in
            for row in rows {
                VectorMath.combine(y.base + row * y.rowStride, UnsafePointer(bias.base), y.columns) { $0 + $1 }
            }
        }
    }
}
