import CompressionCore
import Kernels
import MatrixCore

/// The linear layers of a model while some of them are trained: every W' as a matrix, and the sums ∂L/∂W' of those
/// that are.
///
/// - Memory: W' in Float for every compressed layer that is used, and as much for the gradient of every trained one;
///   dense weights stay where they are.
public final class TrainingWeights {
    private var weights: [String: MatrixOperand] = [:]
    private var sums: [String: Matrix] = [:]
    private let trained: Set<String>
    /// Told of the gradients towards the outputs of every layer on the way back (tokens × m), before the layer is
    /// passed.
    public var gradientObserver: ((_ module: String, _ gradients: MatrixView<Float>) -> Void)?

    /// - Parameter trained: the modules whose gradients are wanted.
    public init(training trained: Set<String>) {
        self.trained = trained
    }

    /// Takes the weight that an operator stands for.
    public func set(_ module: String, to compressed: any LinearOperator) {
        weights[module] = MatrixOperand(compressed.reconstruct())
    }

    /// Begins new sums.
    public func clearGradients() {
        sums = [:]
    }

    /// Forgets the weights that were made from operators.
    public func clearWeights() {
        weights = [:]
    }

    /// ∂L/∂W' (m × n) as far as it was added up; nil where nothing reached the module.
    public func gradient(of module: String) -> MatrixView<Float>? {
        sums[module]?.view
    }

    // MARK: Layers

    /// x · W'ᵀ + b (tokens × m).
    func apply(_ layer: Linear, _ x: MatrixView<Float>) -> Matrix {
        var result = Matrix(uninitializedRows: x.rows, columns: layer.outFeatures)
        multiply(MatrixOperand(x), weight(of: layer).transposed, into: result.mutableView())
        layer.addBias(to: result.mutableView())
        return result
    }

    /// dx ← gradient · W', added to what is there where `adds`; a trained layer's sum takes gradientᵀ · x.
    func pullBack(
        _ layer: Linear, input x: MatrixView<Float>, gradient: MatrixView<Float>, into dx: MutableMatrixView<Float>,
        adds: Bool = false
    ) {
        gradientObserver?(layer.name, gradient)
        multiply(MatrixOperand(gradient), weight(of: layer), into: dx, beta: adds ? 1 : 0)
        guard trained.contains(layer.name) else { return }
        let isFirst = sums[layer.name] == nil
        var sum =
            sums.removeValue(forKey: layer.name)
            ?? Matrix(uninitializedRows: layer.outFeatures, columns: layer.inFeatures)
        multiply(MatrixOperand(gradient).transposed, MatrixOperand(x), into: sum.mutableView(), beta: isFirst ? 0 : 1)
        sums[layer.name] = sum
    }

    func weight(of layer: Linear) -> MatrixOperand {
        if let weight = weights[layer.name] { return weight }
        if let dense = layer.weight as? DenseOperator { return dense.weight }
        let weight = MatrixOperand(layer.weight.reconstruct())
        weights[layer.name] = weight
        return weight
    }
}
